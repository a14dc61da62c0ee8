"""Pins for redis-py: connection classes that use a pinned context, for pools that name them.

    ConnectionPool(connection_class=PinningConnection, pinning_context=context, host=...)

1. Each connection is made with the pinned context and the name of the host that it connects to. A
   redis-py that makes it otherwise is refused before a command is sent.
2. Settings for a context of redis-py's own (`ssl_...`) are refused: nobody would look at them.
"""

from __future__ import annotations

import ssl
from typing import Any

from redis import __version__
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.gate import Gate
from holdfast.errors import PinnedContextError

__all__ = ["AsyncPinningConnection", "PinningConnection"]


class PinningConnection(SSLConnection):
    """A connection that is judged by a policy.

    Args:
        pinning_context: What makes it.
        settings: As for `redis.connection.SSLConnection`, without those that begin with `ssl_`.

    Raises:
        PinnedContextError: There are some that do.
        TypeError: The context is no `PinningContext`.
    """

    def __init__(self, *, pinning_context: PinningContext, **settings: Any) -> None:
        """Keep the context."""
        _check(pinning_context, settings)
        self._pinning_context = pinning_context
        super().__init__(**settings)

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        return self._pinning_context.wrap_socket(sock, server_hostname=self.host)

    def _connect(self) -> Any:
        connected = super()._connect()  # type: ignore[no-untyped-call]
        if not isinstance(connected, Gate):
            connected.close()
            raise _not_pinned()
        return connected


class AsyncPinningConnection(AsyncSSLConnection):
    """The same for `redis.asyncio`.

    Args:
        pinning_context: What makes it.
        settings: As for `redis.asyncio.SSLConnection`, without those that begin with `ssl_`.

    Raises:
        PinnedContextError: There are some that do.
        TypeError: The context is no `PinningContext`.
    """

    def __init__(self, *, pinning_context: PinningContext, **settings: Any) -> None:
        """Keep the context."""
        _check(pinning_context, settings)
        super().__init__(**settings)
        self.ssl_context.context = pinning_context

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        writer = self._writer
        if writer is None or not isinstance(writer.get_extra_info("ssl_object"), Gate):
            if writer is not None:
                writer.transport.abort()
            raise _not_pinned()


def _check(context: PinningContext, settings: dict[str, Any]) -> None:
    if not isinstance(context, PinningContext):
        raise TypeError("pinning_context takes a holdfast.PinningContext")
    ignored = sorted(name for name in settings if name.startswith("ssl_"))
    if ignored:
        raise PinnedContextError(
            f"a pinned connection has no settings of its own for TLS: {', '.join(ignored)}",
            hint="set them on the PinningContext, as in context.load_cert_chain()",
        )


def _not_pinned() -> PinnedContextError:
    return PinnedContextError(
        f"redis {__version__} did not make the connection with the pinned context",
        hint="use a version that the documentation names, or pin the whole process",
    )
