"""uvicorn: a configuration whose protocols tell the application who was accepted.

uvicorn's protocols keep the application that a connection's requests go to in `app`. They are
subclassed when the configuration is loaded; which of them are used is still uvicorn's choice.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn

from holdfast.enforcement.servers.asgi import telling

__all__ = ["PinnedConfig"]


class PinnedConfig(uvicorn.Config):
    """A `uvicorn.Config` under which each scope says who was accepted (`servers.asgi`).

    The pinned context goes into `ssl_context_factory`, as without Holdfast.
    """

    def load(self) -> None:
        """Load, and have the protocols tell."""
        super().load()
        self.http_protocol_class = _telling(self.http_protocol_class)
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = _telling(self.ws_protocol_class)


def _telling(protocol: Any) -> Any:
    class Telling(protocol):  # type: ignore[misc]  # whichever was configured
        app: Any

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.app = telling(self.app, transport.get_extra_info("ssl_object"))

    return Telling
