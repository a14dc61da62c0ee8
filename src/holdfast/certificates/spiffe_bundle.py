"""Anchors from files: certificates as everywhere, or the bundle of a SPIFFE trust domain.

A bundle is a JSON Web Key Set (SPIFFE Trust Domain and Bundle, section 4) with the trust domain's
CA certificates in the keys for `x509-svid` (X509-SVID, section 6.2). It does not say whose it is:
that is for the policy, which names it as the anchors of a set.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterator

from holdfast.certificates.load_chain import certificates_in, read_file
from holdfast.certificates.spki import spki_of
from holdfast.errors import CertificateError, PolicyError
from holdfast.pins.decode_document import decode_document

_USE = "x509-svid"
_FIX = "export it again from the trust domain, as with: spire-server bundle show -format spiffe"


def anchors_in(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """Read the certificates of a file: PEM, one in DER, or a SPIFFE bundle, which begins with `{`.

    Args:
        path: The file.

    Returns:
        Each certificate as DER, at least one.

    Raises:
        CertificateError: The file cannot be read, holds no certificate, or holds what does not
            belong there.
    """
    data, place = read_file(path), os.fspath(path)
    if data.lstrip()[:1] == b"{":
        return bundle_certificates(data, place)
    return certificates_in(data, place)


def bundle_certificates(data: bytes, place: str) -> tuple[bytes, ...]:
    """Read the CA certificates of a SPIFFE bundle, in its order.

    Keys for other uses are passed over, as the specification asks for.

    Args:
        data: The document.
        place: Where it comes from, for messages.

    Returns:
        Each certificate as DER, at least one.

    Raises:
        CertificateError: It is no bundle, or has no certificate.
    """
    try:
        document = decode_document(data.decode("utf-8"), "json")
    except UnicodeDecodeError:
        raise CertificateError(f"{place}: the bundle is not UTF-8", hint=_FIX) from None
    except PolicyError as error:
        problem = error.problems[0]
        where = f"{problem.place}: " if problem.place else ""
        raise CertificateError(f"{place}: {where}{problem.message}", hint=_FIX) from None
    found = tuple(_certificates(document, place))
    if not found:
        raise CertificateError(
            f"{place}: no key of the bundle has the use {_USE} and a certificate", hint=_FIX
        )
    return found


def _certificates(document: dict[str, object], place: str) -> Iterator[bytes]:
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise CertificateError(f"{place}: this JSON is no SPIFFE bundle: no list `keys`", hint=_FIX)
    for index, key in enumerate(keys):
        if not isinstance(key, dict):
            raise CertificateError(f"{place}, keys[{index}]: this is no key", hint=_FIX)
        if key.get("use") == _USE and key.get("x5c"):
            yield _first_certificate(key["x5c"], f"{place}, keys[{index}].x5c")


def _first_certificate(x5c: object, place: str) -> bytes:
    """Read `x5c`; what stands behind its first certificate is passed over, as specified."""
    text = x5c[0] if isinstance(x5c, list) else None
    if not isinstance(text, str):
        raise CertificateError(f"{place}: this takes a list of base64 text", hint=_FIX)
    try:
        der = binascii.a2b_base64(text, strict_mode=True)
        spki_of(der)
    except ValueError as error:  # CertificateError is one
        raise CertificateError(
            f"{place}: not a certificate in base64: {error}", hint=_FIX
        ) from None
    return der
