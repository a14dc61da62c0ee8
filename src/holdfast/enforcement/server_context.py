"""`PinnedServerContext`: a server's `ssl.SSLContext` that lets in the clients that a policy names.

1. Verification is sealed: each client is asked for its certificate in the handshake (CERT_REQUIRED)
   and at no other time; renegotiation stays off.
2. No tickets: they go out before a check can refuse. Sessions by id (TLS 1.2) cannot be switched
   off from Python; they are judged.
3. The rest of the seal, the base, and the refusal of connections without the gate are as in
   `PinningContext`.
"""

from __future__ import annotations

import os
import ssl
from typing import Self

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.client_judge import ClientJudge
from holdfast.enforcement.context_pinning import Enforcement
from holdfast.enforcement.genuine_context import CContext
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.pinned_connections import ClassHook
from holdfast.enforcement.pinned_methods import PinnedMethods
from holdfast.enforcement.sealed_verification import SealedVerification
from holdfast.enforcement.server_connections import PinnedServerObject, PinnedServerSocket
from holdfast.enforcement.server_pinning import SEALED_OPTIONS, ServerPinning, anchors_of_clients
from holdfast.enforcement.verified_path import PathReader
from holdfast.errors import PinnedContextError, TrustStoreError
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.pin_set import Trust
from holdfast.pins.policy import Policy

__all__ = ["PinnedServerContext"]

_options_of = CContext.options.__get__


class PinnedServerContext(PinnedMethods, SealedVerification):  # type: ignore[misc]  # a property there
    """A TLS server context that lets in only clients whose path satisfies the set that names them.

    It *is* an `ssl.SSLContext`: load the server's own certificate with `load_cert_chain`, and give
    it to any server that takes one. A refused handshake raises `PinViolationError`, tells the sink,
    and is over before the application has a byte. The connections that it makes say in
    `pinned_client` who was accepted.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        client_anchors: A file of the anchors that may vouch for the clients of sets with public
            trust: PEM, DER or a SPIFFE bundle. Sets with private trust have their own.

    Raises:
        TrustStoreError: A set that names clients has no anchors, or no set names any.
    """

    sslsocket_class = ClassHook("sslsocket_class", PinnedServerSocket)
    sslobject_class = ClassHook("sslobject_class", PinnedServerObject)
    check_hostname = CContext.check_hostname  # of no use to a server, and as in `ssl`

    def __new__(
        cls,
        source: PolicySource,  # noqa: ARG004  __init__ takes them
        *,
        sink: ViolationSink | None = None,  # noqa: ARG004
        client_anchors: str | os.PathLike[str] | None = None,  # noqa: ARG004
    ) -> Self:
        """Make the underlying context; everything else is set up afterwards."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(
        self,
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        client_anchors: str | os.PathLike[str] | None = None,
    ) -> None:
        """Bind the policy source and load the anchors."""
        policy = getattr(source, "current", lambda: None)()
        if not isinstance(policy, Policy):
            raise TypeError(
                "a pinned server takes a policy: holdfast.load_policy(path) or a PolicySource"
            )
        public_anchors = () if client_anchors is None else load_anchors(client_anchors)
        _check_anchors(policy, public_anchors)
        judge = ClientJudge(
            source, LogSink() if sink is None else sink, public_anchors=public_anchors
        )
        enforcement = Enforcement(judge, PathReader(), LiveConnections(source))
        self._holdfast_pinning = ServerPinning(enforcement, source, policy)
        CContext.verify_mode.__set__(self, int(ssl.CERT_REQUIRED))
        CContext.num_tickets.__set__(self, 0)
        self.seal()
        anchors = sorted({*public_anchors, *anchors_of_clients(policy)})
        try:
            self.load_verify_locations(cadata=b"".join(anchors))
        except ssl.SSLError as error:
            raise TrustStoreError(f"OpenSSL cannot read an anchor: {error}") from error
        _load_the_reader()

    @property
    def options(self) -> ssl.Options:
        """The protocol options. Renegotiation and tickets stay off."""
        return ssl.Options(_options_of(self))

    @options.setter
    def options(self, value: int) -> None:
        CContext.options.__set__(self, value | SEALED_OPTIONS)

    @property
    def num_tickets(self) -> int:
        """Always 0: a ticket goes out before the check can refuse."""
        return 0

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        if value:
            raise PinnedContextError("a pinned server hands out no tickets", hint="remove it")

    @property
    def post_handshake_auth(self) -> bool:
        """Always False: the certificate is asked for in the handshake."""
        return False

    @post_handshake_auth.setter
    def post_handshake_auth(self, value: bool) -> None:
        if value:
            raise PinnedContextError(
                "a pinned server asks for the client's certificate in the handshake",
                hint="remove post_handshake_auth",
            )


def _check_anchors(policy: Policy, public_anchors: tuple[bytes, ...]) -> None:
    """Refuse a policy whose clients could never come in, and say what is missing."""
    naming = [pin_set for pin_set in policy.pin_sets if pin_set.clients]
    if not naming:
        raise TrustStoreError(
            "no pin set of the policy names a client",
            hint='add clients = ["spiffe://..."] and anchors to a set with trust = "private"',
        )
    for pin_set in naming:
        if pin_set.trust is Trust.PINS_ONLY:
            raise TrustStoreError(
                f"pin_set.{pin_set.name}: a server cannot ask for a certificate that nothing "
                "vouches for",
                hint='write trust = "private", with the client\'s own certificate as anchor',
            )
        if pin_set.trust is Trust.PUBLIC and not public_anchors:
            raise TrustStoreError(
                f"pin_set.{pin_set.name}: nobody is trusted to certify its clients",
                hint='pass client_anchors=FILE, or write trust = "private" with anchors',
            )


def _load_the_reader() -> None:
    """Load what reads certificates: no handshake should wait for it."""
    from cryptography import x509  # noqa: F401
