"""What a certificate says about itself, as text for people. Nothing here decides anything.

A certificate that OpenSSL accepts may be one that `cryptography` refuses to parse, wholly or in
one field; what cannot be read then says so, since an explanation must never fail in place of the
refusal that it explains. The text is raw: escaping it is the business of
`holdfast.findings.explain`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509

T = TypeVar("T")
U = TypeVar("U")

_NIST_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class CertificateDescription:
    """The fields that people ask for; unreadable ones start with "unreadable: ", or are None."""

    subject: str
    """RFC 4514 text, such as `CN=api.example.com,O=Example`."""
    issuer: str
    not_before: datetime | None
    """In UTC, with the offset."""
    not_after: datetime | None
    key: str
    """Type and size, such as "EC P-256", "RSA 2048", "Ed25519" or "unknown key (OID 1.2.3)"."""
    names: tuple[str, ...]
    """The DNS names, IP addresses and URIs of subjectAltName."""
    is_ca: bool
    organization: str | None = None
    """The subject's organization (O), where it has just one."""


def describe(der: bytes) -> CertificateDescription:
    """Describe a certificate; this never raises and never warns.

    Args:
        der: The certificate, which need not be a valid one.
    """
    with warnings.catch_warnings():
        # `cryptography` warns about serials and keys that it will refuse one day.
        warnings.simplefilter("ignore")
        certificate = _read(lambda: _parse(der), str)
        if isinstance(certificate, str):
            return CertificateDescription(
                certificate, certificate, None, None, certificate, (), is_ca=False
            )
        return CertificateDescription(
            # Reading the attribute can fail too, hence the lambdas.
            subject=_read(lambda: certificate.subject.rfc4514_string(), str),  # noqa: PLW0108
            issuer=_read(lambda: certificate.issuer.rfc4514_string(), str),  # noqa: PLW0108
            not_before=_read(lambda: certificate.not_valid_before_utc, lambda _: None),
            not_after=_read(lambda: certificate.not_valid_after_utc, lambda _: None),
            key=_read(lambda: _key(certificate), str),
            names=_read(lambda: _names(certificate), lambda reason: (reason,)),
            is_ca=_read(lambda: _is_ca(certificate), lambda _: False),
            organization=_read(lambda: _organization(certificate), lambda _: None),
        )


def _read(field: Callable[[], T], otherwise: Callable[[str], U]) -> T | U:
    """Return the field, or what `otherwise` makes of the reason why it cannot be read."""
    try:
        return field()
    except BaseException as error:
        # A panic of the parser is not an Exception, and pyo3 gives no name to import it by.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        return otherwise(f"unreadable: {str(error) or type(error).__name__}")


def _parse(der: bytes) -> x509.Certificate:
    from cryptography import x509

    return x509.load_der_x509_certificate(der)


def _key(certificate: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return f"unknown key (OID {certificate.public_key_algorithm_oid.dotted_string})"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_NIST_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size}"
    # Every other type comes in one size: Ed25519PublicKey, Ed448PublicKey.
    return type(key).__name__.removesuffix("PublicKey")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    shown = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier)
    return tuple(str(name.value) for name in extension.value if isinstance(name, shown))


def _organization(certificate: x509.Certificate) -> str | None:
    from cryptography.x509.oid import NameOID

    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if len(found) == 1 else None


def _is_ca(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
