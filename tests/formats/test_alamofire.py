import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.errors import PolicyError
from holdfast.formats.alamofire import FORMAT
from holdfast.formats.decide import decide
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Effect
from holdfast.formats.registry import format_of
from holdfast.pins.chain import VerifiedChain
from tests.formats.test_from_policy import LEAVES, NOW
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

HEAD = """\
import Alamofire
import CryptoKit
import Foundation
import Security

// holdfast: begin
/// Accepts a path"""
ENTRY = f"""
let serverTrustManager = ServerTrustManager(
    allHostsMustBeEvaluated: false,
    evaluators: [
        "api.example.com": PinnedKeys(
            "{ONE}",
            "{TWO}"
        ),
"""


def test_what_is_written() -> None:
    """No compiler has checked it: the shape is Alamofire's, the brackets match."""
    text = write(FORMAT, POLICY).decode()

    assert text.startswith(HEAD)
    assert ENTRY in text
    assert text.endswith("        ),\n    ]\n)\n// holdfast: end\n")
    assert "struct PinnedKeys: ServerTrustEvaluating {" in text
    assert "try DefaultTrustEvaluator().evaluate(trust, forHost: host)" in text
    for opening, closing in ("()", "[]", "{}"):
        assert text.count(opening) == text.count(closing)
    assert FORMAT is format_of("Pins.swift", text.encode())
    assert FORMAT.write is not None
    assert b"evaluators: [:]\n" in FORMAT.write((), None)


def der(tag: int, content: bytes) -> bytes:
    """Return content in DER, up to 65535 bytes of it."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes(1 if size < 256 else 2, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def octets(text: str, after: str) -> bytes:
    """Return the bytes of the first list that follows a text in the Swift code."""
    listed = re.search(r"\[([^\]]*0x[^\]]*)\]", text[text.index(after) :])
    assert listed is not None
    return bytes.fromhex(re.sub(r"0x|[\s,]", "", listed[1]))


def test_the_algorithms_in_the_text_are_those_of_the_keys() -> None:
    """Put before what Security.framework returns of a key, they give its SubjectPublicKeyInfo."""
    text = write(FORMAT, POLICY).decode()
    curve = octets(text, "let ec:")
    keys: list[tuple[rsa.RSAPublicKey | ec.EllipticCurvePublicKey, bytes]] = [
        (ec.generate_private_key(kind).public_key(), curve + octets(text, f" {size}: ec + "))
        for kind, size in ((ec.SECP256R1(), 256), (ec.SECP384R1(), 384), (ec.SECP521R1(), 521))
    ]
    for size in (2048, 3072):
        public = rsa.generate_private_key(65537, size).public_key()
        keys.append((public, octets(text, "let rsa:")))

    for key, algorithm in keys:
        is_rsa = isinstance(key, rsa.RSAPublicKey)
        encoding = Encoding.DER if is_rsa else Encoding.X962
        form = PublicFormat.PKCS1 if is_rsa else PublicFormat.UncompressedPoint
        bits = key.public_bytes(encoding, form)
        info = der(0x30, der(0x30, algorithm) + der(0x03, b"\0" + bits))
        assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == info


def test_hosts_below_are_a_loss() -> None:
    """A dictionary has no wildcards; and a host that is not in it is not pinned."""
    translated = rules_of(POLICY, FORMAT.semantics)
    told = [one for one in translated.losses if one.kind.value == "depth-of-subdomains"]
    chain = VerifiedChain((LEAVES[1],))

    assert {Effect.LETS_THROUGH} == {one.effect for one in told if one.subject == "pay"}
    for host, allowed in (("api.example.com", False), ("x.pay.example.com", True)):
        verdict = decide(translated.rules, FORMAT.semantics, host, chain, NOW)
        assert allowed is verdict.allowed


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"a.test": PublicKeysTrustEvaluator()', "when the application runs"),
        ('"a.test": .publicKeys', "when the application runs"),
        ('"a.test": PinnedCertificatesTrustEvaluator(certificates: some)', "holdfast key pin"),
        (f'"*.a.test": PinnedKeys("{ONE}")', "matches no host"),
        (f'"A.test": PinnedKeys("{ONE}")', "matches no host"),
        ('"a.test": PinnedKeys("AAAA")', "not a pin"),
        ('"a.test": PinnedKeys()', "no pins"),
        (f'"a.test": PinnedKeys("{ONE}"), "a.test": PinnedKeys("{TWO}")', "twice"),
        ('"a b": PinnedKeys("AAAA")', "not a host"),
    ],
)
def test_what_cannot_be_read_is_refused(entry: str, message: str) -> None:
    """With its line; what stands in a comment is none."""
    with pytest.raises(PolicyError, match=message) as caught:
        FORMAT.read(f"// PublicKeysTrustEvaluator()\n[{entry}]".encode())

    assert "line 2" == caught.value.problems[0].place
