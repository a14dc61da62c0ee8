"""Certificates in a row, as three types, since only one of them may be matched against pins.

OkHttp matched pins against what the server had *sent*, so that an appended certificate passed
(CVE-2016-2402). Here `evaluate` takes a `VerifiedChain`, and mypy refuses anything else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChainCertificate:
    """A certificate and its two digests. Made by `holdfast.certificates.spki.chain_certificate`."""

    der: bytes
    spki_sha256: bytes
    cert_sha256: bytes


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """The path that a verifier built and checked: leaf first, trust anchor last, never empty.

    Only code that has just had a path verified for the connection's host name and time may make
    one.
    """

    certificates: tuple[ChainCertificate, ...]

    def __post_init__(self) -> None:
        """Refuse the empty path: under CERT_NONE and on resumption OpenSSL hands one out."""
        if not self.certificates:
            raise ValueError("a verified path has at least one certificate")


@dataclass(frozen=True, slots=True)
class PresentedChain:
    """What the server sent, in its order. It proves nothing and is only ever shown to people."""

    certificates: tuple[ChainCertificate, ...]


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A leaf whose key the peer proved to hold in the handshake; nothing else was checked."""

    certificate: ChainCertificate
