"""Fuzz the slicing of keys out of certificates and requests against two other readers.

The first splits DER into elements and matches the row of their tags by a regular expression: it
must take the same bytes, or refuse too. The second is `cryptography`: what both accept has the same
signed part, and the slice loads as the key that it sees there.
"""

from __future__ import annotations

import base64
import random
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import atheris
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from campaign import DisagreementError, Target, expect, run

with atheris.instrument_imports(
    include=["holdfast.certificates.der", "holdfast.certificates.spki"]
):
    from holdfast.certificates import der as der_module
    from holdfast.certificates import spki as spki_module
    from holdfast.certificates.spki import bare_spki, spki_of, spki_of_request
from holdfast.errors import CertificateError
from holdfast.lab.authorities import Authority, new_key, self_signed

_VERSIONS = tuple(bytes([0xA0, 3, 2, 1, version]) for version in range(3))
# Rows of tags. [0] version, then five elements, the key, then unique identifiers and extensions.
_CERTIFICATE = re.compile(rb"\xa0?\x02\x30{4}(?P<key>\x30)\x81?\x82?\xa3?", re.DOTALL)
_REQUEST = re.compile(rb"\x02\x30(?P<key>\x30)\xa0?", re.DOTALL)
_ALGORITHM = re.compile(rb"\x06[\x04\x05\x06\x30]?", re.DOTALL)

# Octets that mean something in a header.
_TELLING = b"\0\1\2\3\4\5\6\x1f\x30\x31\x3f\x7f\x80\x81\x82\x83\x84\x85\xa0\xa1\xa3\xff"
_SMALL = [
    bytes.fromhex(text) for text in ("0500", "020100", "3000", "810100", "a30100", "03020700")
]
_DEEPEST = 4


@dataclass
class Element:
    """One element: its tag, its whole encoding, and its content."""

    tag: int
    whole: bytes
    content: bytes


def encoded(tag: int, content: bytes) -> bytes:
    """Encode an element in DER."""
    size = len(content)
    octets = size.to_bytes(max(1, (size.bit_length() + 7) // 8), "big")
    length = octets if size < 0x80 else bytes([0x80 + len(octets)]) + octets
    return bytes([tag]) + length + content


def elements(data: bytes) -> list[Element] | None:
    """Split data into elements in DER that fill it; None: that is not possible."""
    found = []
    while data:
        if len(data) < 2:
            return None
        count = data[1] & 0x7F if data[1] & 0x80 else 0
        start = 2 + count
        size = int.from_bytes(data[2:start], "big") if count else data[1]
        whole, content = data[: start + size], data[start : start + size]
        # One encoding of each length is DER: compare with that one.
        if len(content) < size or count > 4 or whole != encoded(whole[0], content):
            return None
        found.append(Element(whole[0], whole, content))
        data = data[len(whole) :]
    return found


def second_reading(der: bytes, row: re.Pattern[bytes]) -> bytes | None:
    """Return the key's element of a certificate or a request; None: refused."""
    outer = elements(der)
    parts = elements(outer[0].content) if outer and _tags(outer) == b"\x30" else None
    if not parts or _tags(parts) != b"\x30\x30\x03":
        return None
    signed = elements(parts[0].content)
    match = signed and row.fullmatch(_tags(signed))
    if not signed or not match:
        return None
    if signed[0].tag == 0xA0 and signed[0].whole not in _VERSIONS:
        return None
    key = signed[match.start("key")]
    inside = elements(key.content)
    if not inside or _tags(inside) != b"\x30\x03" or not inside[1].content.startswith(b"\0"):
        return None
    algorithm = elements(inside[0].content)
    return key.whole if algorithm and _ALGORITHM.fullmatch(_tags(algorithm)) else None


def _tags(row: list[Element]) -> bytes:
    return bytes(element.tag for element in row)


def _mutated(data: bytes, longest: int, seed: int) -> bytes:
    """Change octets as libFuzzer does, or elements with the lengths around them made to fit."""
    chance = random.Random(seed)
    if chance.random() < 0.25:
        return bytes(atheris.Mutate(data, longest))
    changed = _with_changed_element(data, chance, chance.randrange(_DEEPEST + 1))
    return changed if len(changed) <= longest else data


def _with_changed_element(data: bytes, chance: random.Random, depth: int) -> bytes:
    """Change something in this row of elements or, while depth is left, in one of those below."""
    row = elements(data)
    if not row:
        return bytes(atheris.Mutate(data, len(data) + 8)) if data else b"\x05\0"
    pieces = [element.whole for element in row]
    at = chance.randrange(len(row))
    constructed = [number for number, element in enumerate(row) if element.tag & 0x20]
    if depth and constructed:
        # The way to the key goes through the first element, then the last but one or so.
        at = chance.choice(constructed)
        below = _with_changed_element(row[at].content, chance, depth - 1)
        pieces[at] = encoded(row[at].tag, below)
        return b"".join(pieces)
    match chance.randrange(8):
        case 0:
            pieces[at] = bytes([chance.choice(_TELLING)]) + pieces[at][1:]
        case 1:
            del pieces[at]
        case 2:
            pieces.insert(at, chance.choice(pieces))
        case 3:
            pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(_SMALL))
        case 4:
            pieces[at] = encoded(row[at].tag, atheris.Mutate(row[at].content, 64))
        case 5:
            pieces[at] = _in_longer_form(row[at], chance)
        case 6:
            pieces[at] = bytes([row[at].tag, 0x80]) + row[at].content + b"\0\0"
        case _:
            pieces[at] = chance.choice(_SMALL)
    return b"".join(pieces)


def _in_longer_form(element: Element, chance: random.Random) -> bytes:
    count = chance.randrange(1, 6)
    size = len(element.content) % 256**count
    header = bytes([element.tag, 0x80 + count])
    return b"".join([header, size.to_bytes(count, "big"), element.content])


def _seeds() -> Iterator[bytes]:
    authority = Authority.new("fuzz")
    yield authority.issue("a.example.com", "192.0.2.1").der
    yield authority.issue("a.example.com", kind="rsa").der
    yield self_signed("b.example.com").der
    key = authority.key
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    yield builder.sign(new_key("ec"), hashes.SHA256()).public_bytes(Encoding.DER)
    names = x509.SubjectAlternativeName([x509.DNSName("c.example.com")])
    requested = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    yield requested.public_bytes(Encoding.DER)
    # The least that has every part, so that changes hit one that matters.
    algorithm = encoded(0x30, bytes.fromhex("06032b6570"))
    spki = encoded(0x30, algorithm + encoded(3, bytes(33)))
    before = b"\x02\x01\x05" + algorithm + b"\x30\x00" * 3
    after = encoded(0x81, b"\0\1") + encoded(0x82, b"\0\1") + encoded(0xA3, b"\x30\0")
    signature = algorithm + encoded(3, bytes(65))
    for signed in (
        before + spki,
        _VERSIONS[0] + before + spki,
        _VERSIONS[2] + before + spki + after,
    ):
        yield encoded(0x30, encoded(0x30, signed) + signature)


def _sliced(der: bytes, kind: Literal["certificate", "request"]) -> bytes | None:
    try:
        key = spki_of(der) if kind == "certificate" else spki_of_request(der)
    except CertificateError:
        return None
    expect(key, bare_spki(key), "the slice is a bare key")
    return key


def _compare_with_cryptography(der: bytes, key: bytes) -> None:
    """Compare a slice with what `cryptography` sees, if it sees a certificate."""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        return
    signed = elements(elements(certificate.tbs_certificate_bytes)[0].content)  # type: ignore[index]
    if signed is None:
        raise DisagreementError("cryptography reads a signed part that is not DER")
    # By position: version or not, then the sixth.
    expect(signed[5 + (signed[0].tag == 0xA0)].whole, key, "the key in cryptography's signed part")
    try:
        seen = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return
    expect(seen, load_der_public_key(key), "the key that cryptography loads")


def _judge(der: bytes) -> bool:
    certified, requested = _sliced(der, "certificate"), _sliced(der, "request")
    expect(second_reading(der, _CERTIFICATE), certified, "the key of a certificate")
    expect(second_reading(der, _REQUEST), requested, "the key of a request")
    if certified is not None:
        _compare_with_cryptography(der, certified)
    return certified is not None or requested is not None


def _show(der: bytes) -> str:
    return f'base64.b64decode("{base64.b64encode(der).decode("ascii")}")'


def _plant_longer_lengths() -> None:
    """Read a length in whatever form it is written, as BER allows."""

    def long_length(der: bytes, at: int) -> tuple[int, int]:
        start = at + 2 + der[at + 1] - 0x80
        return start, int.from_bytes(der[at + 2 : start], "big")

    der_module._long_length = long_length


def _plant_anything_after_the_key() -> None:
    """Do not look at what follows the key."""
    spki_module._check_after_key = lambda *_: None


if __name__ == "__main__":
    # `cryptography` warns of what it reads all the same.
    warnings.simplefilter("ignore")
    run(
        Target(
            build=bytes,
            judge=_judge,
            show=_show,
            seeds=_seeds,
            mutate=_mutated,
            longest=2048,
            mutants={
                "longer-lengths": _plant_longer_lengths,
                "anything-after-the-key": _plant_anything_after_the_key,
            },
        )
    )
