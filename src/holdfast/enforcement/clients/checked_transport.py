"""What the pinned transports of httpx and httpx2 have in common; neither library is needed here.

1. Each request is checked before it is sent: plain text, and where a redirect came from. The client
   makes the request that follows a redirect with the `extensions` of the one before.
2. A violation is not retried; other failures to connect are, as the libraries do it.
3. A connection is used for its own origin only: the pools of both libraries are kept by origin, and
   share no connection of HTTP/2 with another host (RFC 9113 section 9.1.1).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.enforcement.request_check import RequestCheck

if TYPE_CHECKING:
    from holdfast.pins.interfaces import PolicySource, ViolationSink

__all__ = ["AsyncCheckedTransport", "CheckedTransport"]

_CAME_FROM = "holdfast.came_from"
_FACTOR = 0.5  # seconds


class _Checked:
    """Mixed in front of a library's transport."""

    _connect_errors: tuple[type[Any], ...]  # the library's ConnectError and ConnectTimeout

    def __init__(
        self,
        policy: PolicySource | PinningContext,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
        retries: int = 0,
        **options: Any,
    ) -> None:
        """Make the context, unless it is given."""
        if not isinstance(policy, PinningContext):
            policy = PinningContext(policy, sink=sink, public_anchors=public_anchors)
        elif sink is not None or public_anchors is not None:
            raise TypeError("sink and public_anchors belong to the PinningContext that was given")
        if "verify" in options or "cert" in options:
            raise TypeError("a pinned transport verifies with its PinningContext, and nothing else")
        self._check = RequestCheck.of(policy)
        self._retries = retries
        super().__init__(verify=policy, **options)  # type: ignore[call-arg]  # the library's

    def _check_request(self, request: Any) -> None:
        """Refuse a request, or note where it goes for the one that may follow its redirect."""
        url, extensions = request.url, request.extensions
        came_from = extensions.get(_CAME_FROM)
        try:
            host = url.raw_host.decode("ascii")
            name = extensions.get("sni_hostname")
            target = self._check.check(url.scheme, host, url.port, came_from, tls_name=name)
        except PinViolationError as error:
            raise self._connect_errors[0](error.message, request=request) from error
        extensions[_CAME_FROM] = target

    def _may_retry(self, error: Exception, attempt: int) -> bool:
        return attempt < self._retries and violation_from(error) is None


class CheckedTransport(_Checked):
    """Mixed in front of a blocking transport."""

    def handle_request(self, request: Any) -> Any:
        """Send a request, unless it would leave an enforced host."""
        self._check_request(request)
        for attempt, pause in enumerate(_pauses()):
            try:
                return super().handle_request(request)  # type: ignore[misc]  # the library's
            except self._connect_errors as error:
                if not self._may_retry(error, attempt):
                    raise
            time.sleep(pause)
        raise AssertionError("there is always another pause")  # pragma: no cover


class AsyncCheckedTransport(_Checked):
    """Mixed in front of an async transport."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request, unless it would leave an enforced host."""
        import anyio  # both libraries bring it along

        self._check_request(request)
        for attempt, pause in enumerate(_pauses()):
            try:
                return await super().handle_async_request(request)  # type: ignore[misc]
            except self._connect_errors as error:
                if not self._may_retry(error, attempt):
                    raise
            await anyio.sleep(pause)
        raise AssertionError("there is always another pause")  # pragma: no cover


def _pauses() -> Iterator[float]:
    """Return the pauses between attempts, in seconds, as httpcore makes them."""
    yield 0.0
    for exponent in count():
        yield _FACTOR * 2.0**exponent
