"""Each entry of the table shown to both verifiers; OpenSSL is this interpreter's `ssl`."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast.certificates.verifier_differences import (
    OPENSSL_MAY_ACCEPT,
    OPENSSL_MAY_REFUSE,
    differences,
    openssl_agrees,
)
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.pins.chain import VerifiedChain

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "h.example"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
STRICT = ssl.VerifyFlags.VERIFY_X509_STRICT

Change = tuple[x509.ExtensionType, bool] | None
Changes = dict[str, Change]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _printable(text: str) -> x509.Name:
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, text, _ASN1Type.PrintableString)
    return x509.Name([attribute])


def _ec_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _key_usage(*uses: str) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in uses for use in known})


def _dns_names(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(text) for text in names])


@dataclass(frozen=True)
class Link:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def _make(
    subject: x509.Name,
    by: Link | None = None,
    *,
    is_ca: bool = False,
    key: Key | None = None,
    issuer: x509.Name | None = None,
    not_after: datetime = NOW + 30 * DAY,
    hash_: hashes.SHA224 | hashes.SHA256 | None = None,
    changes: Changes | None = None,
) -> Link:
    """Make a certificate that both verifiers take, but for `changes` of its extensions."""
    key = key or _ec_key()
    signer = by.key if by else key
    extensions: Changes = {
        "ski": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        "aki": (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
        "constraints": (x509.BasicConstraints(is_ca, None), True),
        "usage": (_key_usage("key_cert_sign" if is_ca else "digital_signature"), True),
    }
    if not is_ca:
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        extensions |= {"eku": (server, False), "names": (_dns_names(HOST), False)}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or (by.certificate.subject if by else subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(not_after)
    )
    for extension in (extensions | (changes or {})).values():
        if extension is not None:
            builder = builder.add_extension(extension[0], critical=extension[1])
    is_edwards = isinstance(signer, ed25519.Ed25519PrivateKey)
    return Link(builder.sign(signer, None if is_edwards else hash_ or hashes.SHA256()), key)


@dataclass(frozen=True)
class Shown:
    """A chain, what it is held against, and how OpenSSL is set up."""

    chain: list[Link]
    anchors: list[Link]
    host: str = HOST
    flags: ssl.VerifyFlags = field(default=ssl.VerifyFlags.VERIFY_DEFAULT)

    @property
    def ders(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The chain and the anchors as DER."""
        return tuple(link.der for link in self.chain), tuple(link.der for link in self.anchors)

    def answer(self, now: datetime = NOW) -> VerifiedChain | PathFailure:
        """Ask the verifier of `cryptography`."""
        return verify_path(*self.ders, self.host, now)

    def phrases(self, now: datetime = NOW) -> tuple[str, ...]:
        """Ask the table."""
        return differences(*self.ders, self.host, now, self.answer(now))


def _with_leaf(host: str = HOST, **changes: Change) -> Shown:
    """Return a chain whose leaf is changed."""
    root = _make(_name("Root"), is_ca=True)
    ca = _make(_name("CA"), root, is_ca=True)
    return Shown([_make(_name(HOST), ca, changes=changes), ca], [root], host)


def _with_leaf_key(key: Key) -> Shown:
    """Return a chain whose leaf has this key."""
    root = _make(_name("Root"), is_ca=True)
    return Shown([_make(_name(HOST), root, key=key)], [root])


def _with_ca(**changes: Change) -> Shown:
    """Return a chain whose intermediate is changed."""
    root = _make(_name("Root"), is_ca=True)
    ca = _make(_name("CA"), root, is_ca=True, changes=changes)
    return Shown([_make(_name(HOST), ca), ca], [root])


def _with_root(key: Key | None = None, **changes: Change) -> Shown:
    """Return a chain whose root is changed."""
    root = _make(_name("Root"), is_ca=True, key=key, changes=changes)
    return Shown([_make(_name(HOST), root)], [root])


def _with_empty_subject() -> Shown:
    root = _make(_name("Root"), is_ca=True)
    return Shown([_make(x509.Name([]), root)], [root])


def _with_sha224() -> Shown:
    root = _make(_name("Root"), is_ca=True)
    return Shown([_make(_name(HOST), root, hash_=hashes.SHA224())], [root])


def _with_issuer(issuer: x509.Name) -> Shown:
    root = _make(_name("Test Root"), is_ca=True)
    return Shown([_make(_name(HOST), root, issuer=issuer)], [root])


def _with_intermediates(count: int) -> Shown:
    root = _make(_name("Root"), is_ca=True)
    path = [root]
    for number in range(count):
        path.insert(0, _make(_name(f"CA {number}"), path[0], is_ca=True))
    return Shown([_make(_name(HOST), path[0]), *path[:-1]], [root])


def _anchored_in_intermediate() -> Shown:
    shown = _with_leaf()
    return Shown(shown.chain[:1], shown.chain[1:])


def _anchored_in_leaf() -> Shown:
    shown = _with_leaf()
    return Shown(shown.chain, shown.chain[:1])


def _with_two_certificates_for_a_ca() -> Shown:
    """Send a CA's certificate of an unknown root before the one of the known root."""
    known, unknown = (_make(_name(text), is_ca=True) for text in ("Root", "Other root"))
    ca = _make(_name("CA"), known, is_ca=True)
    other = _make(_name("CA"), unknown, is_ca=True, key=ca.key, not_after=NOW + 40 * DAY)
    return Shown([_make(_name(HOST), ca), other, ca], [known])


def _strict(shown: Shown) -> Shown:
    return Shown(shown.chain, shown.anchors, shown.host, STRICT)


def _constraint(*names: x509.GeneralName) -> tuple[x509.NameConstraints, bool]:
    return x509.NameConstraints(names, None), True


def _policies() -> tuple[x509.CertificatePolicies, bool]:
    identifier = x509.ObjectIdentifier("2.23.140.1.2.1")
    return x509.CertificatePolicies([x509.PolicyInformation(identifier, None)]), True


def _usage(*oids: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(oids)


SERVER, ANY = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
SKI = x509.SubjectKeyIdentifier(b"another identifier")
AKI = x509.AuthorityKeyIdentifier(b"another identifier", None, None)

# Phrase of the table (its beginning) -> chains on which the two differ.
ACCEPTED: dict[str, list[Callable[[], Shown]]] = {
    "the leaf has no authority key": [lambda: _with_leaf(aki=None)],
    "the leaf names its host in the common": [
        lambda: _with_leaf(names=None),
        lambda: _with_leaf(names=(x509.SubjectAlternativeName([x509.RFC822Name("a@b.c")]), False)),
    ],
    "the host has an underscore": [
        lambda: _with_leaf("a_b.example.org", names=(_dns_names("a_b.example.org"), False)),
        lambda: _with_leaf("-a.example.org", names=(_dns_names("-a.example.org"), False)),
    ],
    "the leaf is marked": [
        lambda: _with_leaf(constraints=(x509.BasicConstraints(True, None), True))
    ],
    "the leaf may sign": [
        lambda: _with_leaf(usage=(_key_usage("digital_signature", "key_cert_sign"), True))
    ],
    "the leaf's names are critical": [
        lambda: _with_leaf(names=(_dns_names(HOST), True)),
        _with_empty_subject,
    ],
    "an extended key usage or a policy": [
        lambda: _with_leaf(eku=(_usage(SERVER), True)),
        lambda: _with_leaf(policies=_policies()),
        lambda: _with_ca(policies=_policies()),
        lambda: _with_ca(policies=(x509.PolicyConstraints(5, None), True)),
        lambda: _with_ca(policies=(x509.InhibitAnyPolicy(0), True)),
    ],
    "a CA has no key usage": [lambda: _with_ca(usage=None), lambda: _with_root(usage=None)],
    "a CA has no critical": [
        lambda: _with_ca(constraints=(x509.BasicConstraints(True, None), False)),
        lambda: _with_root(constraints=None),
    ],
    "a CA constrains": [
        lambda: _with_ca(constraint=_constraint(x509.DNSName(".example"))),
        lambda: _with_ca(constraint=_constraint(x509.DirectoryName(_name(HOST)))),
    ],
    "there are more than 8": [lambda: _with_intermediates(9)],
    "an issuer's name is spelled": [
        lambda: _with_issuer(_name("test root")),
        lambda: _with_issuer(_printable("Test Root")),
    ],
    "a CA's key or a signature": [
        lambda: _with_root(key=ed25519.Ed25519PrivateKey.generate()),
        lambda: _with_root(key=ec.generate_private_key(ec.BrainpoolP256R1())),
        _with_sha224,
    ],
}
REFUSED: dict[str, list[Callable[[], Shown]]] = {
    "the leaf's RSA key": [lambda: _with_leaf_key(rsa.generate_private_key(65537, 1024))],
    "the path ends in": [_anchored_in_intermediate, _anchored_in_leaf],
    "a certificate names another key": [lambda: _with_leaf(aki=(AKI, False))],
    "a wildcard stands right": [lambda: _with_leaf("a.com", names=(_dns_names("*.com"), False))],
    "a CA has several": [_with_two_certificates_for_a_ca],
    "a CA's extended key usage": [lambda: _with_ca(eku=(_usage(ANY), False))],
    "the leaf's key usage": [lambda: _with_leaf(usage=(_key_usage("content_commitment"), True))],
    "a subject key identifier": [lambda: _with_leaf(ski=(SKI, True))],
    "a CA lacks a key": [
        lambda: _strict(_with_root(ski=None)),
        lambda: _strict(_with_ca(ski=None, aki=None)),
    ],
}
# Proven by a test of its own, since `ssl` cannot be given a time.
BY_TIME = "a certificate expires in this very second"


def _openssl_accepts(shown: Shown) -> bool:
    """Shake hands in memory; tell whether a client of this interpreter's OpenSSL accepts."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("ALL@SECLEVEL=0")  # the server may have the weakest keys
    key = shown.chain[0].key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        path.write_text(key.decode() + "".join(link.pem for link in shown.chain))
        server.load_cert_chain(path)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags = shown.flags
    client.load_verify_locations(cadata="".join(link.pem for link in shown.anchors))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=shown.host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        try:
            ours.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError:
            return False
        else:
            return True
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
    raise AssertionError("the handshake does not come to an end")


def _cases(table: dict[str, list[Callable[[], Shown]]]) -> list[object]:
    return [
        pytest.param(phrase, make_chain, id=f"{phrase} {number}".replace(" ", "-"))
        for phrase, chains in table.items()
        for number, make_chain in enumerate(chains)
    ]


def _beginning_with(phrase: str, phrases: tuple[str, ...]) -> list[str]:
    return [found for found in phrases if found.startswith(phrase)]


@pytest.mark.parametrize(("phrase", "make_chain"), _cases(ACCEPTED))
def test_openssl_accepts_what_is_refused_here(phrase: str, make_chain: Callable[[], Shown]) -> None:
    """OpenSSL accepts the chain, the verifier does not, and the table says why that may be."""
    shown = make_chain()

    assert isinstance(shown.answer(), PathFailure)
    assert _openssl_accepts(shown)
    assert 1 == len(_beginning_with(phrase, shown.phrases()))


@pytest.mark.threat("T08")
@pytest.mark.parametrize(("phrase", "make_chain"), _cases(REFUSED))
def test_openssl_refuses_what_is_accepted_here(
    phrase: str, make_chain: Callable[[], Shown]
) -> None:
    """OpenSSL refuses the chain, the verifier accepts it, and the table says why that may be."""
    shown = make_chain()

    assert isinstance(shown.answer(), VerifiedChain)
    assert not _openssl_accepts(shown)
    assert 1 == len(_beginning_with(phrase, shown.phrases()))


@pytest.mark.parametrize(
    "make_chain",
    [
        lambda: _strict(_with_leaf(aki=None)),
        lambda: _strict(_with_leaf(usage=(_key_usage("digital_signature", "key_cert_sign"), True))),
        lambda: _strict(_with_ca(usage=None)),
        lambda: _strict(_with_root(constraints=None)),
    ],
    ids=["aki", "leaf-usage", "ca-usage", "ca-constraints"],
)
def test_strict_openssl_agrees_where_the_table_says_so(make_chain: Callable[[], Shown]) -> None:
    """With VERIFY_X509_STRICT OpenSSL refuses too, as the phrase says."""
    shown = make_chain()

    assert isinstance(shown.answer(), PathFailure)
    assert not _openssl_accepts(shown)
    assert any("VERIFY_X509_STRICT refuses it too" in phrase for phrase in shown.phrases())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only the openssl command takes a time")
def test_expiring_second(tmp_path: Path) -> None:
    """In the second that notAfter names, the verifier still accepts and OpenSSL does not."""
    shown = _with_leaf()
    second = NOW + 30 * DAY
    paths = [tmp_path / name for name in ("anchors.pem", "others.pem", "leaf.pem")]
    for path, links in zip(paths, (shown.anchors, shown.chain[1:], shown.chain[:1]), strict=True):
        path.write_text("".join(link.pem for link in links))
    accepted = {}
    for time in (second, second - timedelta(seconds=1)):
        anchors, others, leaf = map(str, paths)
        command = ["openssl", "verify", "-attime", str(int(time.timestamp()))]
        command += ["-no-CApath", "-CAfile", anchors, "-untrusted", others, leaf]
        accepted[time] = subprocess.run(command, check=False, capture_output=True).returncode == 0

    assert {second: False, second - timedelta(seconds=1): True} == accepted
    assert isinstance(shown.answer(second), VerifiedChain)
    assert (BY_TIME,) == shown.phrases(second)


def test_every_entry_is_proven() -> None:
    """No entry of the table stands there without a chain that shows the difference."""
    proven = [*ACCEPTED, *REFUSED, BY_TIME]
    table = [*OPENSSL_MAY_ACCEPT, *OPENSSL_MAY_REFUSE]

    assert table == [phrase for phrase in table if any(map(phrase.startswith, proven))]


def test_an_ordinary_chain_has_no_differences() -> None:
    """A chain as public CAs issue it is accepted by both and gets no hint."""
    shown = _with_leaf()

    assert isinstance(shown.answer(), VerifiedChain)
    assert _openssl_accepts(shown)
    assert () == shown.phrases()


def test_a_root_sent_with_a_cross_signature_is_no_difference() -> None:
    """What many servers send, their root signed by an older one, both verifiers take."""
    root, older = (_make(_name(text), is_ca=True) for text in ("Root", "Older root"))
    crossed = _make(_name("Root"), older, is_ca=True, key=root.key)
    shown = Shown([_make(_name(HOST), root), crossed], [root])

    assert isinstance(shown.answer(), VerifiedChain)
    assert _openssl_accepts(shown)
    assert () == shown.phrases()


@pytest.mark.parametrize("now", [NOW - 9 * DAY, NOW + 99 * DAY])
def test_no_hint_where_the_clock_alone_is_wrong(now: datetime) -> None:
    """A chain that only the time makes fail would fail in OpenSSL too."""
    assert () == _with_leaf().phrases(now)


def test_unreadable_certificates_give_no_hint() -> None:
    """What cannot be parsed supports no hint, and does not raise."""
    answer = verify_path((b"junk",), (b"junk",), HOST, NOW)

    assert () == differences((b"junk",), (b"junk",), HOST, NOW, answer)


@pytest.mark.parametrize(
    ("phrase", "make_chain"),
    _cases({phrase: chains for phrase, chains in REFUSED.items() if phrase != "a CA has several"}),
)
def test_a_decision_keeps_to_the_stricter_verifier(
    phrase: str, make_chain: Callable[[], Shown]
) -> None:
    """What OpenSSL may refuse it does not agree to; each entry is enough, on a path by itself."""
    shown = make_chain()
    answer = shown.answer()

    assert isinstance(answer, VerifiedChain), phrase
    path = tuple(one.der for one in answer.certificates)
    assert not openssl_agrees(path, shown.host, NOW)


def test_a_decision_takes_no_silence_for_a_yes() -> None:
    """OpenSSL agrees to an ordinary path; what cannot be parsed raises."""
    shown = _with_leaf()
    chain, anchors = shown.ders

    assert openssl_agrees(chain + anchors, HOST, NOW)
    with pytest.raises(ValueError, match="parsing"):
        openssl_agrees((*chain, b"junk"), HOST, NOW)
