"""The names by which a client's certificate says who the client is.

They are URIs and DNS names of subjectAltName (RFC 5280 section 4.2.1.6), never the subject. A
certificate with a SPIFFE ID is an X.509-SVID, and what its specification has validators refuse is
refused (X509-SVID, sections 2, 3.1 and 5.2).
"""

from __future__ import annotations

import functools
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import CertificateError, HostNameError
from holdfast.pins.client_identity import SCHEME, ClientIdentity

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["ClientLeaf", "client_leaf"]

_REASON_LIMIT = 200  # characters
_NAME_LIMIT = 100
# Clients come again and again, and reading a certificate costs more than the rest of a decision.
_REMEMBERED = 4096


class ClientLeaf(NamedTuple):
    """What a client's certificate says.

    Attributes:
        identities: Its names, in the order of the certificate; there may be none.
        not_after: The end of its validity, in UTC.
    """

    identities: tuple[ClientIdentity, ...]
    not_after: datetime


@functools.lru_cache(maxsize=_REMEMBERED)
def client_leaf(der: bytes) -> ClientLeaf:
    """Read a client's certificate.

    Wildcards name nobody and are passed over, as are IP addresses and mail addresses.

    Args:
        der: The leaf.

    Raises:
        CertificateError: It cannot be read, or has a name that is none, or is a SPIFFE certificate
            that must be rejected.
    """
    try:
        with warnings.catch_warnings():
            # `cryptography` warns of what a later version will refuse to read.
            warnings.simplefilter("ignore")
            return _read(der)
    except CertificateError:
        raise
    except BaseException as error:
        # A panic of the parser is not an Exception, and pyo3 gives no name to import it by.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = ascii(str(error))[:_REASON_LIMIT]
        raise CertificateError(f"the client's certificate cannot be read: {reason}") from None


def _read(der: bytes) -> ClientLeaf:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ClientLeaf((), certificate.not_valid_after_utc)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if any(map(_is_spiffe, uris)):
        _check_svid(certificate, uris)
    texts = [
        name.value
        for name in names
        if (isinstance(name, x509.UniformResourceIdentifier) and _is_spiffe(name.value))
        or (isinstance(name, x509.DNSName) and "*" not in name.value)
    ]
    identities = tuple(dict.fromkeys(map(_identity, texts)))
    return ClientLeaf(identities, certificate.not_valid_after_utc)


def _is_spiffe(uri: str) -> bool:
    return uri.lower().startswith(SCHEME)


def _identity(text: str) -> ClientIdentity:
    try:
        return ClientIdentity(text)
    except HostNameError as error:
        shown = ascii(text)[:_NAME_LIMIT]
        raise CertificateError(
            f"the certificate has the name {shown}, which is none: {error.hint}"
        ) from None


def _check_svid(certificate: Certificate, uris: list[str]) -> None:
    from cryptography import x509

    if len(uris) > 1:
        raise CertificateError("a SPIFFE certificate has one URI, and this one has several")
    if _identity(uris[0]).is_trust_domain:
        raise CertificateError("the SPIFFE ID has no path: it is a trust domain's, not a client's")
    extensions = certificate.extensions
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        signs = usage.key_cert_sign or usage.crl_sign
    except x509.ExtensionNotFound:
        signs = False
    if is_ca or signs:
        raise CertificateError("a SPIFFE certificate that may sign others identifies no client")
