"""Pins for grpcio: credentials whose only roots are pinned certificates.

    pinned = pinned_credentials(policy, "api.example.com", certificates="pinned.pem")
    channel = grpc.secure_channel("api.example.com:443", pinned.credentials)

grpcio has a TLS stack of its own (BoringSSL) and no callback that could look at a key: it can be
told what to end a path in, and no more. What is lost of the policy stands beside the credentials.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import grpc

from holdfast.enforcement.clients.pinned_roots import RootStack, pinned_roots
from holdfast.formats.loss import Loss
from holdfast.pins.interfaces import PolicySource

__all__ = ["PinnedCredentials", "pinned_credentials"]

_STACK = RootStack("grpcio", takes_any=True)  # BoringSSL takes partial chains, as grpcio sets it up


class PinnedCredentials(NamedTuple):
    """Credentials for channels to one host, and what they do not hold.

    Attributes:
        credentials: For `grpc.secure_channel` and `grpc.aio.secure_channel`.
        losses: What of the policy is lost.
    """

    credentials: grpc.ChannelCredentials
    losses: tuple[Loss, ...]


def pinned_credentials(
    policy: PolicySource,
    host: str,
    *,
    certificates: str | os.PathLike[str] | None = None,
    strict: bool = False,
    private_key: bytes | None = None,
    certificate_chain: bytes | None = None,
) -> PinnedCredentials:
    """Return credentials that accept only servers under pinned certificates.

    Args:
        policy: A `Policy`, or a source, whose policy of now is taken.
        host: The host that is connected to.
        certificates: A PEM file of pinned certificates: of leaves, or of CAs that the set pins. Not
            needed for a private set without pins, whose anchors are the roots.
        strict: Whether losses that change who is connected to are an error.
        private_key: The client's key, as for `grpc.ssl_channel_credentials`.
        certificate_chain: The client's certificate, likewise.

    Raises:
        CertificateError: The file has no certificate, or one that cannot be read.
        HostNameError: The host is none.
        LossError: The set holds only digests, or `strict` refuses what is lost.
        PinnedContextError: No set covers the host, or a certificate must not be a root for it.
    """
    roots = pinned_roots(policy, host, _STACK, certificates=certificates, strict=strict)
    credentials = grpc.ssl_channel_credentials(
        roots.pem.encode("ascii"), private_key, certificate_chain
    )
    return PinnedCredentials(credentials, roots.losses)
