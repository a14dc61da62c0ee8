"""Trust anchors: those that a user names in a file, and the public roots of `certifi`."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.spiffe_bundle import anchors_in
from holdfast.certificates.spki import spki_of
from holdfast.errors import CertificateError, TrustStoreError

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    from holdfast.pins.chain import ChainCertificate


def load_anchors(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """Read the trust anchors of a file, in its order.

    Args:
        path: A PEM bundle, one certificate in DER, or a SPIFFE bundle.

    Returns:
        Each anchor as DER, at least one.

    Raises:
        TrustStoreError: The file cannot be read, or holds no certificate, or anything but
        certificates.
    """
    try:
        return anchors_in(path)
    except CertificateError as error:
        raise TrustStoreError(f"no trust anchors: {error.message}", hint=error.hint) from error


@cache
def public_root_spki() -> frozenset[bytes]:
    """Return the SHA-256 of the SubjectPublicKeyInfo of each root in certifi's bundle. Read once.

    Raises:
        TrustStoreError: certifi is not installed, or its bundle holds no certificate.
    """
    try:
        import certifi
    except ImportError as error:
        raise TrustStoreError(
            "the public roots are not known here: certifi is not installed",
            hint='install it with: pip install "holdfast[cli]"',
        ) from error
    roots = pem_certificates(certifi.contents(), "the bundle of certifi")
    if not roots:
        raise TrustStoreError("the bundle of certifi is empty", hint="install certifi again")
    return frozenset(sha256(spki_of(der)).digest() for der in roots)


def is_public_root(spki_sha256: bytes) -> bool | None:
    """Say whether a key is that of a public root.

    Args:
        spki_sha256: The SHA-256 of the key's SubjectPublicKeyInfo, 32 bytes.

    Returns:
        None where it cannot be told, because certifi is not installed or unusable.
    """
    try:
        return spki_sha256 in public_root_spki()
    except (TrustStoreError, CertificateError):
        return None


def is_expected_anchor(anchor: ChainCertificate, named: Collection[bytes] = ()) -> bool | None:
    """Say whether a path's anchor is one that the user named (DER), or else a public root.

    Returns:
        False for an anchor that someone else added to this machine; None where it cannot be told.
    """
    return anchor.der in named or is_public_root(anchor.spki_sha256)
