"""`PinningContext`: an `ssl.SSLContext` that judges each verified path by a policy.

1. Verification is sealed: CERT_REQUIRED and the name check cannot be switched off, renegotiation
   stays off.
2. The base is the genuine `ssl.SSLContext`, also after `truststore.inject_into_ssl()`, whose
   replacement ignores the hooks that this builds on (`sslsocket_class`, `sslobject_class`;
   documented since Python 3.7).
3. Whatever was patched, no connection without the gate leaves `wrap_socket` or `wrap_bio`.
4. One canonical host name drives SNI, the certificate's name check and the pin look-up. No name, no
   connection: before Python 3.14 `wrap_bio` without one skips the name check silently
   (CVE-2026-19553).
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.context_pinning import ContextPinning, Enforcement
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.local_exceptions import announce
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.pinned_connections import ClassHook, PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.pinned_methods import PinnedMethods
from holdfast.enforcement.sealed_verification import (
    SealedVerification,
    load_beside_copies,
    load_public_anchors,
)
from holdfast.enforcement.verified_path import PathReader
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.local_exception import LocalException
from holdfast.pins.policy import Policy

if TYPE_CHECKING:
    from holdfast.enforcement.server_context import PinnedServerContext


class PinningContext(PinnedMethods, SealedVerification):  # type: ignore[misc]  # a property there
    """A TLS client context that talks only to servers whose verified path satisfies the policy.

    It *is* an `ssl.SSLContext`: what takes one is pinned by it, blocking and async. A refused
    connection raises `PinViolationError`, tells the sink, and is over. A context alone cannot stop
    `http://` or a redirect elsewhere.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        public_anchors: A PEM file of trust anchors to use instead of the platform's store.
        exceptions: Local exceptions, as in `load_settings("holdfast.toml").exceptions`; they are
            logged as warnings, and each use goes to the sink.

    Raises:
        TrustStoreError: There are no trust anchors.
    """

    sslsocket_class = ClassHook("sslsocket_class", PinnedSSLSocket)
    sslobject_class = ClassHook("sslobject_class", PinnedSSLObject)

    def __new__(
        cls,
        source: PolicySource,  # noqa: ARG004  __init__ takes them
        *,
        sink: ViolationSink | None = None,  # noqa: ARG004
        public_anchors: str | os.PathLike[str] | None = None,  # noqa: ARG004
        exceptions: Iterable[LocalException] = (),  # noqa: ARG004
    ) -> Self:
        """Make the underlying context; everything else is set up afterwards."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
        exceptions: Iterable[LocalException] = (),
    ) -> None:
        """Bind the policy source and load the trust anchors."""
        if not isinstance(getattr(source, "current", lambda: None)(), Policy):
            raise TypeError(
                "a PinningContext takes a policy: holdfast.load_policy(path) or a PolicySource"
            )
        anchors = () if public_anchors is None else load_anchors(public_anchors)
        exceptions = tuple(exceptions)
        announce(exceptions, source, datetime.now(UTC))
        judge = HandshakeJudge(
            source,
            LogSink() if sink is None else sink,
            named_anchors=anchors,
            exceptions=exceptions,
        )
        self._holdfast_pinning = ContextPinning(
            Enforcement(judge, PathReader(), LiveConnections(source)),
            functools.partial(load_beside_copies, anchors),
            anchors,
        )
        self.seal()
        load_public_anchors(self, anchors)

    @staticmethod
    def for_server(
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        client_anchors: str | os.PathLike[str] | None = None,
    ) -> PinnedServerContext:
        """Make a server's context, which lets in only the clients that the policy names.

        The arguments are those of `PinnedServerContext`.

        Raises:
            TrustStoreError: A set that names clients has no anchors, or no set names any.
        """
        from holdfast.enforcement.server_context import PinnedServerContext  # clients need it not

        return PinnedServerContext(source, sink=sink, client_anchors=client_anchors)
