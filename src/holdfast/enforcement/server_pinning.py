"""What pins the connections of one server context.

OpenSSL verifies a client's path against the anchors of all sets that name clients; which of them
may vouch for this client is the judge's to say. A policy that changes may bring new anchors: they
are loaded before the next handshake. Those that it drops stay loaded and vouch for nobody.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.context_pinning import Admission, ContextPinning, Enforcement
from holdfast.enforcement.genuine_context import CContext
from holdfast.errors import PinnedContextError
from holdfast.pins.evaluate_client import NAMELESS
from holdfast.pins.pin_set import Trust

if TYPE_CHECKING:
    from holdfast.pins.interfaces import PolicySource
    from holdfast.pins.policy import Policy

__all__ = ["SEALED_OPTIONS", "ServerPinning", "anchors_of_clients"]

# Renegotiation could bring another certificate. Tickets go out before a check can refuse.
SEALED_OPTIONS = int(ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET)

_verify_mode_of = CContext.verify_mode.__get__
_options_of = CContext.options.__get__
_tickets_of = CContext.num_tickets.__get__
_asks_late = CContext.post_handshake_auth.__get__
_CERT_REQUIRED = int(ssl.CERT_REQUIRED)
_log = logging.getLogger("holdfast.enforcement")


def anchors_of_clients(policy: Policy) -> frozenset[bytes]:
    """Return the private anchors (DER) of all sets that name clients."""
    return frozenset(
        anchor
        for pin_set in policy.pin_sets
        if pin_set.clients and pin_set.trust is Trust.PRIVATE
        for anchor in pin_set.anchors
    )


class ServerPinning(ContextPinning):
    """The pinning of one server context whose verification is sealed."""

    def __init__(
        self, enforcement: Enforcement, source: PolicySource, policy: Policy | None = None
    ) -> None:
        """Bind what judges, and the source whose anchors are followed.

        Args:
            enforcement: With a `ClientJudge`.
            source: The policy source of the judge.
            policy: The policy whose anchors the context has already.
        """
        super().__init__(enforcement)
        self._source = source
        self._loaded_for = policy
        self._loaded = anchors_of_clients(policy) if policy else frozenset()

    def passes(self, server_hostname: str | bytes | None, *, server_side: bool) -> bool:  # noqa: ARG002
        """Refuse to make a client's connection; nothing else passes."""
        if not server_side:
            raise PinnedContextError(
                "this context is for a server", hint="make the client's with PinningContext(policy)"
            )
        return False

    def name_for(self, server_hostname: str | bytes | None) -> str | None:
        """Return the name as it is: `ssl` itself refuses one on this side."""
        return server_hostname  # type: ignore[return-value]

    def admit(
        self,
        context: ssl.SSLContext,
        server_hostname: str | bytes | None,  # noqa: ARG002  of a client nothing is known yet
        *,
        blocking: bool,  # noqa: ARG002
    ) -> Admission:
        """Admit any client: what is asked of it is asked in the handshake."""
        self._load_new_anchors(context)
        return Admission(self, context, NAMELESS, Trust.PUBLIC, context)

    def confirm(self, admission: Admission, sslobj: Any) -> None:
        """Check that OpenSSL's object is a server's, and its context as sealed as it was made.

        Raises:
            PinnedContextError: It is not.
        """
        context = admission.context
        if not (
            sslobj.server_side
            and sslobj.context is context
            and _verify_mode_of(context) == _CERT_REQUIRED
            and _options_of(context) & SEALED_OPTIONS == SEALED_OPTIONS
            and _tickets_of(context) == 0
            and not _asks_late(context)
        ):
            raise PinnedContextError(
                "verification was switched off underneath the pinned server context"
            )

    def load_cert_chain(self, context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        """Load the server's own certificate, which every client may see."""
        CContext.load_cert_chain(context, *args, **kwargs)

    def _load_new_anchors(self, context: ssl.SSLContext) -> None:
        try:
            policy = self._source.current()
        except Exception:  # noqa: BLE001  the judge asks again, and refuses
            return
        if policy is self._loaded_for:
            return
        anchors = anchors_of_clients(policy)
        for anchor in anchors - self._loaded:
            try:
                CContext.load_verify_locations(context, cadata=anchor)
            except (ssl.SSLError, ValueError):  # its clients are untrusted, all others go on
                _log.exception("an anchor of the new policy cannot be loaded")
        self._loaded |= anchors
        self._loaded_for = policy
