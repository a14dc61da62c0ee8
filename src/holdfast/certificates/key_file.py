"""The public key of any file that has one: certificate, request, public key or private key.

This is what `holdfast key pin FILE` reads, offline. The bytes are those that stand in the file,
except for a private key, which holds no SubjectPublicKeyInfo: there `cryptography` writes one.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from holdfast.certificates.der import INTEGER, SEQUENCE, enter, skip
from holdfast.certificates.load_chain import is_der
from holdfast.certificates.pem import PemBlock, pem_blocks
from holdfast.certificates.spki import bare_spki, spki_of, spki_of_request
from holdfast.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_PASSPHRASE = 1023  # bytes; OpenSSL takes no longer one

_SLICERS: dict[str, Callable[[bytes], bytes]] = {
    "certificate": spki_of,
    "certificate request": spki_of_request,
    "public key": bare_spki,
}
_PRIVATE_KEY = "private key"
_KINDS = {
    "CERTIFICATE": "certificate",
    "X509 CERTIFICATE": "certificate",
    "CERTIFICATE REQUEST": "certificate request",
    "NEW CERTIFICATE REQUEST": "certificate request",
    "PUBLIC KEY": "public key",
    "PRIVATE KEY": _PRIVATE_KEY,
    "ENCRYPTED PRIVATE KEY": _PRIVATE_KEY,
    "RSA PRIVATE KEY": _PRIVATE_KEY,
    "EC PRIVATE KEY": _PRIVATE_KEY,
}
# `openssl ecparam -genkey` writes this before the key.
_PASSED_OVER = "EC PARAMETERS"
_FIXES = {
    "RSA PUBLIC KEY": "convert it with: openssl rsa -RSAPublicKey_in -in FILE -pubout",
    "OPENSSH PRIVATE KEY": "convert a copy of it with: ssh-keygen -p -m PKCS8 -f COPY",
    "TRUSTED CERTIFICATE": "convert it with: openssl x509 -in FILE -out PLAIN.pem",
}
_ACCEPTED = (
    "give a certificate, a certificate request, a public key or a private key, as PEM or DER"
)
# The octets of id-RSASSA-PSS, 1.2.840.113549.1.1.10, header included (RFC 4055).
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")


def spki_from_key_file(
    data: bytes, place: str, *, passphrase: bytes | None = None
) -> tuple[str, bytes]:
    """Read the SubjectPublicKeyInfo of a certificate, request, public key or private key.

    From a private key (PKCS #8, or the older forms for RSA and EC) the bytes are those that
    `cryptography` writes for its public half, which is what a certificate for it normally holds. An
    RSA-PSS private key is refused, because `cryptography` would write another algorithm for it;
    encrypted, it cannot be told apart.

    Args:
        data: The file's content, PEM with exactly one certificate or key, or DER.
        place: Where it comes from, for messages.
        passphrase: For an encrypted private key.

    Returns:
        What the file is ("certificate", "certificate request", "public key" or "private key"),
        and the bytes.

    Raises:
        CertificateError: It is none of these, holds several, or cannot be decrypted.
    """
    if is_der(data) or b"-----BEGIN" not in data:
        return _from_der(data, place, passphrase)
    blocks = [block for block in pem_blocks(data, place) if block.label != _PASSED_OVER]
    if len(blocks) != 1:
        raise CertificateError(
            f"{place}: {len(blocks)} PEM blocks, so it is not clear whose key is meant",
            hint="give a file with one; in a chain file the server's certificate stands first",
        )
    return _from_block(blocks[0], passphrase)


def _from_block(block: PemBlock, passphrase: bytes | None) -> tuple[str, bytes]:
    kind = _KINDS.get(block.label)
    if kind is None:
        raise CertificateError(
            f"{block.place}: a {block.label} block is not read here",
            hint=_FIXES.get(block.label, _ACCEPTED),
        )
    if kind == _PRIVATE_KEY:
        if block.label == "PRIVATE KEY":
            # Decoded here, so that it is looked into as a DER file is.
            return kind, _from_private_key(block.der(), block.place, passphrase, pem=False)
        return kind, _from_private_key(block.text().encode(), block.place, passphrase, pem=True)
    try:
        return kind, _SLICERS[kind](block.der())
    except CertificateError as error:
        if error.message.startswith(block.place):
            raise
        raise CertificateError(
            f"{block.place}: not a {kind}: {error.message}", hint=error.hint
        ) from error


def _from_der(data: bytes, place: str, passphrase: bytes | None) -> tuple[str, bytes]:
    # No file fits two of the shapes: they differ in how many elements stand before the key.
    for kind, slicer in _SLICERS.items():
        try:
            return kind, slicer(data)
        except CertificateError:
            continue
    return _PRIVATE_KEY, _from_private_key(data, place, passphrase, pem=False)


def _from_private_key(data: bytes, place: str, passphrase: bytes | None, *, pem: bool) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if not pem and _is_rsa_pss(data):
        raise CertificateError(
            f"{place}: an RSA-PSS private key does not say how certificates write its public half",
            hint="give the certificate or the certificate request made with it",
        )
    load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            public_key = load(data, passphrase).public_key()
            return public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
    except TypeError as error:
        # How `cryptography` tells the two apart from every other failure.
        if passphrase is None:
            raise CertificateError(
                f"{place}: the private key is encrypted", hint="give its passphrase"
            ) from error
        raise CertificateError(
            f"{place}: the private key is not encrypted", hint="leave the passphrase out"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            raise CertificateError(
                f"{place}: the private key cannot be decrypted or read", hint="check the passphrase"
            ) from error
        raise CertificateError(
            f"{place}: no certificate or key that can be read", hint=_ACCEPTED
        ) from error


def _is_rsa_pss(der: bytes) -> bool:
    """Say whether this is a PKCS #8 key (RFC 5958: version, algorithm, key) for RSA-PSS only."""
    try:
        start, limit = enter(der, 0, SEQUENCE, len(der))
        algorithm, _ = enter(der, skip(der, start, bytes([INTEGER]), limit), SEQUENCE, limit)
    except CertificateError:
        return False
    return der.startswith(_RSA_PSS, algorithm)
