"""Copies of the honest leaf and CA that differ in their keys only.

    leaf (attacker's key)             <- Honest issuing CA (attacker's key) <- Rogue root (trusted)
    serial, names, times, key identifiers are those of the honest leaf and of the honest CA

A client that does not pin sees a valid path to a trusted root and talks.

A pinning client, whose policy pins the CA here, must compare keys. Names, serial numbers and key
identifiers are text that the issuer chooses, and prove nothing.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Authority, Identity, PrivateKey, new_key
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2024-2048",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show the copies."""
    ca_key, key = new_key(), new_key()
    ca = Authority(ca_key, _copy(stage.issuing.certificate, ca_key, stage.rogue))
    leaf = _copy(stage.server.certificate, key, ca)
    return LabServer(Identity(key, (leaf, ca.certificate)))


def _copy(original: x509.Certificate, key: PrivateKey, signer: Authority) -> x509.Certificate:
    """Certify another key with everything else as in the original, but for who signed."""
    identifier = signer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    builder = (
        x509.CertificateBuilder()
        .subject_name(original.subject)
        .issuer_name(signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(original.serial_number)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
    )
    for extension in original.extensions:
        value = extension.value
        if isinstance(value, x509.AuthorityKeyIdentifier):
            value = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)
        builder = builder.add_extension(value, critical=extension.critical)
    return builder.sign(signer.key, hashes.SHA256())
