"""Pins for aiohttp: a session that checks each request, and whose connections are pinned.

    async with pinned_session(policy) as session:
        ...

1. Each request is checked before it is sent: plain text, and where a redirect came from.
2. What a single request brings along for TLS (`ssl=False`, a `Fingerprint`, another context) is
   refused; with the stock connector it would take the place of the pins.
3. A violation is visited once. The stock connector tries it again at the next address of the host.

A redirect is announced to the tracing of a session, in the task of the request; the connector finds
it there when the next request comes.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientSession,
    TCPConnector,
    TraceConfig,
)

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.enforcement.request_check import RequestCheck
from holdfast.errors import PinnedContextError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.redirects import Hop

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from aiohttp import ClientRequest, TraceRequestRedirectParams
    from aiohttp.connector import Connection

    from holdfast.pins.interfaces import PolicySource, ViolationSink

__all__ = ["PinningConnector", "pinned_session"]

# The URL of the answer that the request of this task follows, as scheme and host.
_REDIRECTED_BY: ContextVar[Hop | None] = ContextVar("holdfast_redirected_by", default=None)


def pinned_session(
    policy: PolicySource | PinningContext | PinningConnector,
    *,
    sink: ViolationSink | None = None,
    public_anchors: str | os.PathLike[str] | None = None,
    trace_configs: Iterable[TraceConfig] = (),
    **options: Any,
) -> ClientSession:
    """Return a session that talks only to servers whose path satisfies the policy, over TLS.

    Call it where a `ClientSession` may be made: in a coroutine.

    Args:
        policy: A `Policy`, a `PolicySource` such as `PolicyFile`, a `PinningContext`, or a
            `PinningConnector`.
        sink: Where violations go, as for `PinningContext`.
        public_anchors: Trust anchors, as for `PinningContext`.
        trace_configs: As for `ClientSession`.
        options: What else `ClientSession` takes, but `connector`.

    Raises:
        PinnedContextError: There is another connector.
        TrustStoreError: There are no trust anchors.
        TypeError: The policy is none, or a sink or anchors came together with what has its own.
    """
    if "connector" in options:
        raise PinnedContextError(
            "a pinned session needs a connector that pins",
            hint="pass PinningConnector(policy, ...) in place of the policy",
        )
    if not isinstance(policy, PinningConnector):
        policy = PinningConnector(policy, sink=sink, public_anchors=public_anchors)
    elif sink is not None or public_anchors is not None:
        raise TypeError("sink and public_anchors belong to the PinningConnector that was given")
    return ClientSession(connector=policy, trace_configs=[*trace_configs, _tracing()], **options)


class PinningConnector(TCPConnector):
    """A connector whose requests and connections are judged by a policy.

    It sees redirects only in a session of `pinned_session`.

    Args:
        policy: As for `pinned_session`.
        sink: As for `pinned_session`.
        public_anchors: As for `pinned_session`.
        options: What else `TCPConnector` takes, but `ssl` and what it replaced.
    """

    def __init__(
        self,
        policy: PolicySource | PinningContext,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """Make the context, unless it is given."""
        if not isinstance(policy, PinningContext):
            policy = PinningContext(policy, sink=sink, public_anchors=public_anchors)
        elif sink is not None or public_anchors is not None:
            raise TypeError("sink and public_anchors belong to the PinningContext that was given")
        self._pinned_context = policy
        self._check = RequestCheck.of(policy)
        super().__init__(ssl=policy, **options)

    async def connect(self, req: ClientRequest, *args: Any, **kwargs: Any) -> Connection:
        """Return a connection for a request, unless the request would leave an enforced host.

        Raises:
            ClientConnectorCertificateError: It would, or the connection was refused.
            PinnedContextError: The request brings settings of its own for TLS.
        """
        if req.is_ssl() and req.ssl is not True and req.ssl is not self._pinned_context:
            raise PinnedContextError(
                f"a request to {req.url.host} brings its own TLS settings, which pins nothing",
                hint="remove ssl= from the request",
            )
        came_from = _REDIRECTED_BY.get()
        try:
            url, name = req.url, req.server_hostname
            self._check.check(url.scheme, url.raw_host or "", url.port, came_from, tls_name=name)
            return await super().connect(req, *args, **kwargs)
        except PinViolationError as error:
            raise ClientConnectorCertificateError(req.connection_key, error) from error

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Make one attempt, and let no other address be tried after a violation.

        A private method of aiohttp's. Where it goes by another name, each address is tried, and
        each is refused.
        """
        try:
            return await super()._wrap_create_connection(*args, **kwargs)
        except ClientConnectorError as error:
            violation = violation_from(error)
            if violation is None:
                raise
            raise PinViolationError(violation) from error


def _tracing() -> TraceConfig:
    """Return tracing that notes, in the task of a request, by what it was redirected.

    A middleware may make another request meanwhile: what was noted is there again after it.
    """
    config = TraceConfig()

    async def begin(_session: object, request: SimpleNamespace, _: object) -> None:
        request.noted_before = _REDIRECTED_BY.get()
        _REDIRECTED_BY.set(None)

    async def redirect(
        _session: object, _request: SimpleNamespace, answer: TraceRequestRedirectParams
    ) -> None:
        url = answer.response.url
        _REDIRECTED_BY.set(Hop(url.scheme, canonical_host(url.raw_host or "")))

    async def end(_session: object, request: SimpleNamespace, _: object) -> None:
        _REDIRECTED_BY.set(request.noted_before)

    config.on_request_start.append(begin)
    config.on_request_redirect.append(redirect)
    config.on_request_end.append(end)
    config.on_request_exception.append(end)
    return config
