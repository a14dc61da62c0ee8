"""hypercorn, on asyncio: a configuration with a pinned context, and scopes that say who it is.

hypercorn has no hook through which an application could see its connection. So the class that
serves a connection (`hypercorn.asyncio.tcp_server.TCPServer`) gets a subclass in its place where it
is looked up, when a `PinnedConfig` is made; connections of other contexts are served as ever. The
trio worker pins too, but does not tell.
"""

from __future__ import annotations

import ssl
from typing import Any, cast

import hypercorn.asyncio.run as hypercorn_run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config

from holdfast.enforcement.pinned_client import pinned_client_of
from holdfast.enforcement.servers.asgi import telling

__all__ = ["PinnedConfig"]


class PinnedConfig(Config):
    """A `hypercorn.Config` that serves over a pinned context.

    Args:
        context: The context, with the server's certificate loaded.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        """Take the context, and have connections tell."""
        super().__init__()
        self._context = context
        hypercorn_run.TCPServer = _TellingServer  # type: ignore[attr-defined]

    @property
    def ssl_enabled(self) -> bool:
        """Always True."""
        return True

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return the pinned context, with the protocols of the configuration."""
        self._context.set_alpn_protocols(self.alpn_protocols)
        return self._context


class _TellingServer(TCPServer):
    async def run(self) -> None:
        connection = self.writer.get_extra_info("ssl_object")
        if pinned_client_of(connection) is not None:
            self.app = cast("Any", _Telling(self.app, connection))
        await super().run()


class _Telling:
    """hypercorn's own form of an application, with two functions more than ASGI has."""

    def __init__(self, application: Any, connection: Any) -> None:
        self._application = application
        self._connection = connection

    async def __call__(self, scope: Any, receive: Any, send: Any, *functions: Any) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await self._application(scope, receive, send, *functions)

        await telling(application, self._connection)(scope, receive, send)
