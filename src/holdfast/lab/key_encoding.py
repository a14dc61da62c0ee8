"""Keys in other encodings than `cryptography` writes: for RSA-PSS only, and on explicit curves.

A certificate is cut open along its DER, gets another SubjectPublicKeyInfo (RFC 5280 section 4.1),
and is signed again. Nothing here reads what others sent.
"""

from __future__ import annotations

import base64
import textwrap
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import PublicKeyAlgorithmOID

from holdfast.lab.issuance import der

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.lab.issuance import PrivateKey

__all__ = [
    "bit_string",
    "ecdsa_sha256",
    "is_for_pss",
    "private_key_for_pss",
    "sequence",
    "spki_for_pss",
    "spki_of",
    "with_spki",
]

# RFC 4055 section 1.2: without parameters the key may be used with any of RSA-PSS.
_RSA_PSS = bytes.fromhex("300b06092a864886f70d01010a")
_SEQUENCE, _BIT_STRING, _VERSION = 0x30, 0x03, 0xA0
_SPKI_POSITION = 5  # behind serial number, algorithm, issuer, validity and subject


def spki_of(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo as it stands in a certificate."""
    return _elements(certificate.tbs_certificate_bytes)[_spki_index(certificate)]


def with_spki(
    certificate: x509.Certificate, spki: bytes, sign: Callable[[bytes], bytes]
) -> x509.Certificate:
    """Return a certificate that says the same of another key.

    Args:
        certificate: Signed with ECDSA and SHA-256, as is what comes back.
        spki: The SubjectPublicKeyInfo as DER.
        sign: Returns the signature over what it is given.
    """
    elements = _elements(certificate.tbs_certificate_bytes)
    elements[_spki_index(certificate)] = spki
    signed = sequence(*elements)
    _, algorithm, _ = _elements(der(certificate))
    return x509.load_der_x509_certificate(
        sequence(signed, algorithm, bit_string(sign(signed))),
    )


def ecdsa_sha256(key: PrivateKey) -> Callable[[bytes], bytes]:
    """Return what signs with a key as `with_spki` needs it.

    Raises:
        TypeError: It is no key on an elliptic curve.
    """
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("only a key on an elliptic curve signs with ECDSA")
    return lambda data: key.sign(data, ec.ECDSA(hashes.SHA256()))


def spki_for_pss(spki: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of an RSA key that is to be used with RSA-PSS only."""
    _, key = _elements(spki)
    return sequence(_RSA_PSS, key)


def private_key_for_pss(key: PrivateKey) -> str:
    """Return an RSA key as unencrypted PKCS #8 that says that it is for RSA-PSS only."""
    plain = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    version, _, octets = _elements(plain)
    text = base64.b64encode(sequence(version, _RSA_PSS, octets)).decode("ascii")
    lines = "\n".join(textwrap.wrap(text, 64))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"


def is_for_pss(certificate: x509.Certificate) -> bool:
    """Tell whether the key of a certificate is to be used with RSA-PSS only."""
    return certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS


def sequence(*elements: bytes) -> bytes:
    """Return a SEQUENCE of what is DER already."""
    return _element(_SEQUENCE, b"".join(elements))


def bit_string(data: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return _element(_BIT_STRING, b"\x00" + data)


def _spki_index(certificate: x509.Certificate) -> int:
    has_version = _elements(certificate.tbs_certificate_bytes)[0][0] == _VERSION
    return _SPKI_POSITION + has_version


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _elements(outer: bytes) -> list[bytes]:
    """Return what stands in a SEQUENCE, element by element."""
    position, end = _content(outer, 0)
    elements = []
    while position < end:
        _, after = _content(outer, position)
        elements.append(outer[position:after])
        position = after
    return elements


def _content(data: bytes, start: int) -> tuple[int, int]:
    """Return where the content of the element at `start` begins and ends."""
    length, begin = data[start + 1], start + 2
    if length >= 0x80:
        octets = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + octets]), begin + octets
    return begin, begin + length
