"""The scope extension `holdfast`, by which an ASGI application learns who was accepted.

    scope["extensions"]["holdfast"] == {"identity": ..., "pin_set": ..., "pin": ...}

The three are text; `pin` is None where a mismatch was let pass. Where the extension is missing the
connection was not made by a pinned server: an application that relies on it refuses then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from holdfast.enforcement.pinned_client import pinned_client_of

__all__ = ["EXTENSION", "telling"]

EXTENSION = "holdfast"

_Application = Callable[[Any, Any, Any], Awaitable[None]]


def telling(application: _Application, connection: object) -> _Application:
    """Return an ASGI 3 application that is told, with each request, who was accepted.

    Args:
        application: The application as it is.
        connection: The TLS connection that the requests come on. It is asked at each request, since
            a policy that changes may put the client into another set. Of one that is not pinned
            nothing is said.
    """

    async def tell(scope: Any, receive: Any, send: Any) -> None:
        client = pinned_client_of(connection)
        if client is not None and scope["type"] in ("http", "websocket"):
            told = {
                "identity": client.identity,
                "pin_set": client.pin_set,
                "pin": str(client.pin) if client.pin else None,
            }
            extensions = {**(scope.get("extensions") or {}), EXTENSION: told}
            scope = {**scope, "extensions": extensions}
        await application(scope, receive, send)

    return tell
