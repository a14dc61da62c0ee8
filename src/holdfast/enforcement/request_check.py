"""The check before a request is sent: what a TLS context cannot see, because there is no TLS yet.

The helpers for single libraries (`holdfast.enforcement.clients`) ask it for each request, those
that follow a redirect included. A refusal is reported and raised like that of a connection.
"""

from __future__ import annotations

from typing import Self

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.context_pinning import pinning_of
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.errors import PinnedContextError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.redirects import Hop

__all__ = ["RequestCheck"]


class RequestCheck:
    """Refuses plain text to enforced hosts, and redirects that leave them."""

    def __init__(self, judge: HandshakeJudge) -> None:
        """Judge by a policy, and report to its sink."""
        self._judge = judge

    @classmethod
    def of(cls, context: PinningContext) -> Self:
        """Return the check that goes by the policy of a pinned context.

        Raises:
            TypeError: It is none.
        """
        pinning = pinning_of(context)
        if pinning is None:
            raise TypeError("a PinningContext is needed: holdfast.PinningContext(policy)")
        return cls(pinning.enforcement.judge)

    def is_listed(self, host: str) -> bool:
        """Tell whether a pattern of the policy covers a host.

        Raises:
            HostNameError: The host is none.
            PinViolationError: The policy source failed.
        """
        pin_set, _ = self._judge.rules_for(canonical_host(host))
        return pin_set is not None

    def check(
        self,
        scheme: str,
        host: str,
        port: int | None,
        came_from: Hop | None = None,
        *,
        tls_name: str | None = None,
    ) -> Hop:
        """Let a request pass, or refuse it.

        Args:
            scheme: Of its URL.
            host: Of its URL, as the library is going to use it.
            port: The TCP port, for the report.
            came_from: What this returned for the request whose answer sent the client here.
            tls_name: Under which name its connection is made, if the request says another than that
                of its URL.

        Returns:
            Where the request goes.

        Raises:
            HostNameError: The host is none.
            PinnedContextError: There is none, or it has pins and those of another name would count.
            PinViolationError: The request is refused; nothing was sent.
        """
        if not host:
            raise PinnedContextError("a pinned request needs a host", hint="write a whole URL")
        target = Hop(scheme.lower(), canonical_host(host))
        if tls_name and canonical_host(tls_name) != target.host:
            self._refuse_other_name(target.host)
        verdict = self._judge.decide_request(target, came_from)
        if verdict is not None:
            violation = self._judge.violation(verdict, (), port)
            self._judge.report(violation)
            if not verdict.allowed:
                raise PinViolationError(violation)
        return target

    def _refuse_other_name(self, host: str) -> None:
        """Refuse to reach a host that has pins by those of another name, as after a redirect."""
        pin_set, _ = self._judge.rules_for(host)
        if pin_set is not None:
            raise PinnedContextError(
                f"{host}: its connection would be judged by the pins of another name",
                hint="leave the server's name to the URL (sni_hostname, server_hostname)",
            )
