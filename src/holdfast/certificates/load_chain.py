"""Certificates from files: PEM with any number of them, or one in DER.

Only the shape of each certificate is checked here (RFC 5280 section 4.1, by `spki_of`): no
signature, no date, and not whether they form a chain.
"""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.certificates.pem import pem_blocks
from holdfast.certificates.spki import spki_of
from holdfast.errors import CertificateError

# Bytes. The public roots of the web take a quarter of this; a chain takes a hundredth.
MAX_FILE_SIZE = 1024 * 1024

# The second is what OpenSSL wrote before 0.9; it still reads it.
_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")


def load_chain(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """Read the certificates of a file, in its order.

    Args:
        path: A PEM file with at least one certificate, or a file that is one certificate in DER.

    Returns:
        Each certificate as DER.

    Raises:
        CertificateError: The file cannot be read, is too large, or holds anything else.
    """
    return certificates_in(read_file(path), os.fspath(path))


def certificates_in(data: bytes, place: str) -> tuple[bytes, ...]:
    """Read the content of such a file.

    Args:
        data: The whole content.
        place: Where it comes from, for messages.

    Raises:
        CertificateError: As `load_chain` says.
    """
    if is_der(data):
        _check(data, place)
        return (data,)
    chain = pem_certificates(data, place)
    if not chain:
        raise CertificateError(
            f"{place}: no certificate in it",
            hint="give PEM with -----BEGIN CERTIFICATE----- blocks, or one certificate in DER",
        )
    return chain


def pem_certificates(text: bytes | str, place: str) -> tuple[bytes, ...]:
    """Read every certificate of a PEM text, in its order; there may be none.

    Args:
        text: The text; what stands outside the blocks is passed over.
        place: Where it comes from, for messages.

    Returns:
        Each certificate as DER.

    Raises:
        CertificateError: A block is malformed or is not a certificate.
    """
    found = []
    for block in pem_blocks(text, place):
        if block.label not in _LABELS:
            raise CertificateError(
                f"{block.place}: a {block.label} block among the certificates",
                hint=_fix_for(block.label),
            )
        der = block.der()
        _check(der, block.place)
        found.append(der)
    return tuple(found)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read a whole file of at most `MAX_FILE_SIZE` bytes.

    Raises:
        CertificateError: It cannot be read, is empty or is too large.
    """
    place = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CertificateError(
            f"{place!r} cannot be read: {reason}", hint="check the path and its permissions"
        ) from error
    if not data:
        raise CertificateError(
            f"{place}: the file is empty", hint="write the certificate or key to it again"
        )
    if len(data) > MAX_FILE_SIZE:
        raise CertificateError(
            f"{place}: the file is larger than {MAX_FILE_SIZE} bytes",
            hint="give a file that holds only certificates or one key",
        )
    return data


def is_der(data: bytes) -> bool:
    """Say whether the data begin like a SEQUENCE of 128 bytes or more, as no text does."""
    return data[:1] == b"\x30" and data[1:2] >= b"\x80"


def _check(der: bytes, place: str) -> None:
    try:
        spki_of(der)
    except CertificateError as error:
        raise CertificateError(
            f"{place}: not a certificate: {error.message}", hint=error.hint
        ) from error


def _fix_for(label: str) -> str:
    if label == "TRUSTED CERTIFICATE":
        return "remove its trust settings with: openssl x509 -in FILE -out PLAIN.pem"
    if label.endswith("PRIVATE KEY"):
        return "give the certificates only, and keep the private key in a file of its own"
    if label in {"PKCS7", "CMS"}:
        return "convert it with: openssl pkcs7 -in FILE -print_certs -out PLAIN.pem"
    return "remove the block; give a file with certificates only"
