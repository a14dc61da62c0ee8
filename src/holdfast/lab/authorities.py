"""Throw-away certificate authorities and identities for the lab, the demo and the tests.

Keys live in memory and are meant to be thrown away: nothing made here may ever serve for real.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives import serialization

from holdfast.lab import key_encoding
from holdfast.lab.issuance import (
    NO_LIMITS,
    KeyKind,
    Limits,
    PrivateKey,
    Signer,
    Usage,
    Validity,
    ca_certificate,
    der,
    distinguished_name,
    leaf_certificate,
    new_key,
    pem,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

__all__ = [
    "Authority",
    "Identity",
    "KeyKind",
    "Limits",
    "PrivateKey",
    "Usage",
    "new_key",
    "self_signed",
    "spki_pin",
]


def spki_pin(key: PrivateKey | CertificatePublicKeyTypes) -> str:
    """Return the pin of a key as text, made without the code that the lab judges."""
    public_key = key.public_key() if isinstance(key, PrivateKey) else key
    spki = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256/{_digest(spki)}"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server or client shows: a private key, and the chain it sends, leaf first."""

    key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        """The leaf."""
        return self.chain[0]

    @property
    def der(self) -> bytes:
        """The leaf as DER."""
        return der(self.certificate)

    @property
    def chain_pem(self) -> str:
        """The chain sent, as PEM, leaf first."""
        return pem(self.chain)

    @property
    def key_pem(self) -> str:
        """The private key as unencrypted PKCS #8, of the kind that the leaf says it is."""
        if key_encoding.is_for_pss(self.certificate):
            return key_encoding.private_key_for_pss(self.key)
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")

    @property
    def spki_pin(self) -> str:
        """The pin of the leaf's key, `sha256/...`, as it stands there."""
        return f"sha256/{_digest(key_encoding.spki_of(self.certificate))}"

    @property
    def cert_pin(self) -> str:
        """The pin of the whole leaf, `cert-sha256/...`."""
        return f"cert-sha256/{_digest(self.der)}"

    def with_chain(self, *rest: x509.Certificate) -> Self:
        """Return this identity sending other certificates behind its leaf, related or not."""
        return replace(self, chain=(self.certificate, *rest))

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make `context` show this identity.

        `ssl` reads keys from a path only. The file is made by `mkstemp`, so that nobody else can
        open it (0600) or have put it there, and is gone before this returns, whatever happens.
        """
        descriptor, path = tempfile.mkstemp(prefix="holdfast-lab-", suffix=".pem")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.key_pem + self.chain_pem)
            context.load_cert_chain(path)
        finally:
            Path(path).unlink()

    def server_context(
        self,
        *,
        minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        maximum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        client_anchors: Iterable[Authority] = (),
        require_client_certificate: bool = True,
        alpn: Sequence[str] = (),
    ) -> ssl.SSLContext:
        """Return a context for a server that shows this identity and resumes sessions.

        Args:
            minimum_version: The oldest protocol version to speak.
            maximum_version: The newest protocol version to speak.
            client_anchors: Ask for a client certificate that leads to one of these.
            require_client_certificate: Refuse clients that show none when asked.
            alpn: Protocols to offer, the preferred one first.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = minimum_version, maximum_version
        self.load_into(context)
        if alpn:
            context.set_alpn_protocols(alpn)
        if anchors := pem(authority.certificate for authority in client_anchors):
            context.load_verify_locations(cadata=anchors)
            context.verify_mode = (
                ssl.CERT_REQUIRED if require_client_certificate else ssl.CERT_OPTIONAL
            )
        return context


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: its key, its certificate, and what its identities send behind their leaf."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    sent: tuple[x509.Certificate, ...] = ()

    @classmethod
    def new(
        cls,
        name: str,
        *,
        key: PrivateKey | None = None,
        kind: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Self:
        """Make a root that signs itself.

        Args:
            name: The common name.
            key: The key to use, instead of a new one.
            kind: The kind of the new key.
            not_before: An hour ago by default.
            not_after: In 90 days by default.
        """
        key = key or new_key(kind)
        validity = Validity.of(not_before, not_after)
        return cls(
            key, ca_certificate(distinguished_name(name), key.public_key(), Signer(key), validity)
        )

    @property
    def pem(self) -> str:
        """The certificate as PEM, to be trusted or sent."""
        return pem([self.certificate])

    @property
    def spki_pin(self) -> str:
        """The pin of the CA's key, `sha256/...`."""
        return spki_pin(self.certificate.public_key())

    @property
    def cert_pin(self) -> str:
        """The pin of the CA's whole certificate, `cert-sha256/...`."""
        return f"cert-sha256/{_digest(der(self.certificate))}"

    def intermediate(
        self,
        name: str,
        *,
        key: PrivateKey | None = None,
        kind: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        limits: Limits = NO_LIMITS,
    ) -> Self:
        """Make a CA below this one, which its identities send.

        Args:
            name: As for `new`, and so are the others.
            key: The key to use, instead of a new one.
            kind: The kind of the new key.
            not_before: An hour ago by default.
            not_after: In 90 days by default.
            limits: What may stand below it; anything by default.
        """
        key = key or new_key(kind)
        validity = Validity.of(not_before, not_after)
        return self._certify(distinguished_name(name), key, key.public_key(), validity, limits)

    def cross_sign(
        self,
        other: Authority,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Self:
        """Return `other`, same name and key, with a certificate that this authority signed."""
        validity = Validity.of(not_before, not_after)
        certified = other.certificate.public_key()
        return self._certify(other.certificate.subject, other.key, certified, validity)

    def issue(
        self,
        *names: str,
        key: PrivateKey | None = None,
        kind: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        common_name: str | None = None,
        usage: Usage = "server",
    ) -> Identity:
        """Issue a leaf and return it with its key and the chain to send (without the root).

        Args:
            names: DNS names, IP addresses and URIs for the SubjectAltName; A-labels, a wildcard at
                will.
            key: The key to use, instead of a new one.
            kind: The kind of the new key.
            not_before: An hour ago by default, or an hour before a `not_after` in the past.
            not_after: In 90 days by default.
            common_name: The subject; the first of `names` by default.
            usage: The extended key usage.

        Raises:
            ValueError: There is neither a name nor a common name.
        """
        key = key or new_key(kind)
        validity = Validity.of(not_before, not_after)
        leaf = leaf_certificate(names, common_name, key, self.signer, validity, usage)
        return Identity(key, (leaf, *self.sent))

    @property
    def signer(self) -> Signer:
        """What `issuance` signs with in this authority's name."""
        return Signer(self.key, self.certificate)

    def _certify(
        self,
        subject: x509.Name,
        key: PrivateKey,
        certified: CertificatePublicKeyTypes,
        validity: Validity,
        limits: Limits = NO_LIMITS,
    ) -> Self:
        certificate = ca_certificate(subject, certified, self.signer, validity, limits)
        return replace(self, key=key, certificate=certificate, sent=(certificate, *self.sent))


def self_signed(
    *names: str,
    key: PrivateKey | None = None,
    kind: KeyKind = "ec",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    usage: Usage = "server",
) -> Identity:
    """Make a leaf that signs itself, as devices do. The arguments are those of `issue`."""
    key = key or new_key(kind)
    validity = Validity.of(not_before, not_after)
    leaf = leaf_certificate(names, None, key, Signer(key), validity, usage)
    return Identity(key, (leaf,))


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
