"""The gated classes of a pinned server's connections.

The gate is the one of clients. What a server can be asked for beyond that is here: who was
accepted, the certificate again after the handshake, and another context by `sni_callback`.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, NoReturn

from holdfast.enforcement.context_pinning import pinning_of
from holdfast.enforcement.gate import State
from holdfast.enforcement.pinned_client import PinnedClient
from holdfast.enforcement.pinned_connections import PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.server_pinning import ServerPinning
from holdfast.errors import PinnedContextError

if TYPE_CHECKING:
    from holdfast.enforcement.context_pinning import Admission
    from holdfast.pins.verdict import Verdict

__all__ = ["PinnedServerObject", "PinnedServerSocket"]


class _ServerSide:
    """Mixed in front of the gated classes."""

    if TYPE_CHECKING:
        _holdfast_state: State
        _holdfast_admission: Admission | None
        _holdfast_verdict: Verdict | None
    _holdfast_first_admission: Admission | None = None

    @property
    def pinned_client(self) -> PinnedClient | None:
        """Who was accepted, by the policy of now; None before the verdict and after a refusal."""
        verdict = self._holdfast_verdict
        if verdict is None or self._holdfast_state in (State.UNJUDGED, State.REFUSED):
            return None
        return PinnedClient.of(verdict)

    def verify_client_post_handshake(self) -> NoReturn:
        """Refuse: the client would be asked for another certificate, which nobody judges."""
        raise PinnedContextError(
            "a pinned server asks for the client's certificate in the handshake",
            hint="remove the call; make another context for clients with another policy",
        )

    @property
    def context(self) -> ssl.SSLContext:
        """The pinned context; `sni_callback` may put another pinned server context in its place.

        The client is then judged by that one.
        """
        return super().context  # type: ignore[misc,no-any-return]  # of the gate

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        pinning = pinning_of(context)
        sslobj: Any = self.__dict__.get("_sslobj")
        if not isinstance(pinning, ServerPinning):
            raise PinnedContextError(
                "only a pinned server context can take the place of another",
                hint="make it with PinningContext.for_server(policy)",
            )
        if sslobj is None or self._holdfast_state is not State.UNJUDGED:
            raise PinnedContextError("a context is replaced in the handshake, or not at all")
        blocking = isinstance(self, socket.socket)
        admission = pinning.admit(context, None, blocking=blocking)
        sslobj.context = context
        pinning.confirm(admission, sslobj)
        # OpenSSL's callback still works with the first one (CVE-2026-19445): it has to live on.
        if self._holdfast_first_admission is None:
            self._holdfast_first_admission = self._holdfast_admission
        self._holdfast_admission = admission


class PinnedServerObject(_ServerSide, PinnedSSLObject):
    """What a pinned server context's `wrap_bio` returns."""


class PinnedServerSocket(_ServerSide, PinnedSSLSocket):
    """What a pinned server context's `wrap_socket` returns, and its `accept()`."""
