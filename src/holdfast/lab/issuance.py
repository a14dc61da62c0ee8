"""How the lab makes one certificate: keys, extensions, signature (RFC 5280 section 4.2).

`authorities` holds what tests use; here is only what goes into a certificate, so that it passes
`VERIFY_X509_STRICT`, with which Python 3.13 and later verify by default.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KeyKind = Literal["ec", "ec-384", "ec-521", "rsa", "ed25519"]
Usage = Literal["server", "client", "both"]

# Backdated, so that a client whose clock is a little slow is not what a test finds.
_BACKDATED = timedelta(hours=1)
_LIFETIME = timedelta(days=90)
_COMMON_NAME_LIMIT = 64  # ub-common-name, RFC 5280 appendix A.1
_USAGES = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}


class Signer(NamedTuple):
    """Who signs: a key, and the certificate it signs under (None: the new one signs itself)."""

    key: PrivateKey
    certificate: x509.Certificate | None = None


class Validity(NamedTuple):
    """From when to when a certificate is valid."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, not_before: datetime | None, not_after: datetime | None) -> Validity:
        """Fill in what is not given: 90 days from `not_before`, which is an hour ago.

        A `not_after` in the past moves the default `not_before` to an hour before it.
        """
        now = datetime.now(UTC)
        not_after = not_after or (not_before or now) + _LIFETIME
        return cls(not_before or min(now, not_after) - _BACKDATED, not_after)


class Limits(NamedTuple):
    """What may stand below a CA (RFC 5280 sections 4.2.1.9 and 4.2.1.10).

    Attributes:
        path_length: How many CAs below it at most; None: any number.
        names: The DNS names for which it may certify, each with all below it; none: any name.
    """

    path_length: int | None = None
    names: tuple[str, ...] = ()


NO_LIMITS = Limits()


def new_key(kind: KeyKind = "ec") -> PrivateKey:
    """Make a private key: P-256, P-384, P-521, RSA with 2048 bits, or Ed25519."""
    match kind:
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case "ec-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ec-521":
            return ec.generate_private_key(ec.SECP521R1())
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()


def ca_certificate(
    subject: x509.Name,
    key: CertificatePublicKeyTypes,
    signer: Signer,
    validity: Validity,
    limits: Limits = NO_LIMITS,
) -> x509.Certificate:
    """Certify the key of a CA, by default without a limit to what may stand below it."""
    builder = _builder(subject, key, signer, validity).add_extension(
        x509.BasicConstraints(ca=True, path_length=limits.path_length), critical=True
    )
    builder = builder.add_extension(_key_usage(key_cert_sign=True), critical=True)
    if limits.names:
        permitted = [x509.DNSName(name) for name in limits.names]
        builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    return builder.sign(signer.key, _hash_for(signer.key))


def leaf_certificate(
    names: Sequence[str],
    common_name: str | None,
    key: PrivateKey,
    signer: Signer,
    validity: Validity,
    usage: Usage,
) -> x509.Certificate:
    """Certify the key of a server or client.

    Raises:
        ValueError: There is neither a name nor a common name.
    """
    if not names and common_name is None:
        raise ValueError("a certificate needs a name: pass DNS names, IP addresses or common_name")
    subject = distinguished_name(
        common_name if common_name is not None else names[0][:_COMMON_NAME_LIMIT]
    )
    builder = _builder(subject, key.public_key(), signer, validity)
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(text) for text in names])
        builder = builder.add_extension(alternatives, critical=False)
    # An RSA key may also transport the secret of a TLS 1.2 session.
    key_usage = _key_usage(
        digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPrivateKey)
    )
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES[usage]), critical=False)
    )
    return builder.sign(signer.key, _hash_for(signer.key))


def certified_again(
    original: x509.Certificate,
    signer: Signer,
    *,
    key: PrivateKey | None = None,
    subject: x509.Name | None = None,
    extensions: Sequence[x509.Extension[x509.ExtensionType]] = (),
) -> x509.Certificate:
    """Certify once more what a certificate says, down to its serial number, with changes.

    Args:
        original: The certificate.
        signer: Who signs this time.
        key: The key to certify instead; the key identifier stays the original's.
        subject: The subject to certify instead.
        extensions: Extensions to add, or to take the place of the original's of the same kind.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(original.subject if subject is None else subject)
        .issuer_name(original.subject if signer.certificate is None else signer.certificate.subject)
        .public_key(original.public_key() if key is None else key.public_key())
        .serial_number(original.serial_number)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
    )
    changed = {extension.oid for extension in extensions}
    kept = [extension for extension in original.extensions if extension.oid not in changed]
    for extension in [*kept, *extensions]:
        value = extension.value
        if isinstance(value, x509.AuthorityKeyIdentifier) and signer.certificate is not None:
            identifier = _key_identifier(signer.certificate)
            value = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        builder = builder.add_extension(value, critical=extension.critical)
    return builder.sign(signer.key, _hash_for(signer.key))


def distinguished_name(common_name: str) -> x509.Name:
    """Return a distinguished name that is a common name and nothing else."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificates: Iterable[x509.Certificate]) -> str:
    """Return the certificates as PEM, one behind the other."""
    return "".join(
        certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        for certificate in certificates
    )


def _builder(
    subject: x509.Name, key: CertificatePublicKeyTypes, signer: Signer, validity: Validity
) -> x509.CertificateBuilder:
    own_identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    if signer.certificate is None:
        issuer, issuer_identifier = subject, own_identifier
    else:
        issuer, issuer_identifier = signer.certificate.subject, _key_identifier(signer.certificate)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(own_identifier, critical=False)
        .add_extension(authority, critical=False)
    )


def _key_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Return the identifier that a certificate shows, which verifiers compare; one made if none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    """Return what to hash with before signing; Ed25519 does its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _general_name(text: str) -> x509.GeneralName:
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
