"""The environ of WSGI, by which an application learns who was accepted.

    environ["holdfast.identity"], environ["holdfast.pin_set"], environ["holdfast.pin"]

The three are text; `holdfast.pin` is missing where a mismatch was let pass. Where all are missing
the connection was not made by a pinned server: an application that relies on them refuses then. No
header of a request can set them: those begin with `HTTP_`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from holdfast.enforcement.pinned_client import pinned_client_of

__all__ = ["PinnedClients", "PinnedWSGIRequestHandler"]

_Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class PinnedClients:
    """WSGI middleware for servers that put their socket into the environ, as gunicorn does.

    Args:
        application: The application to be told.
    """

    def __init__(self, application: _Application) -> None:
        """Take the application."""
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Tell, and hand the request on."""
        told = _told(environ.get("gunicorn.socket"))
        return self._application({**environ, **told}, start_response)


class PinnedWSGIRequestHandler(WSGIRequestHandler):
    """A handler for the server of `wsgiref`, which tells by itself."""

    def get_environ(self) -> dict[str, Any]:
        """Return the environ of one request."""
        return {**super().get_environ(), **_told(self.connection)}


def _told(connection: Any) -> dict[str, str]:
    client = pinned_client_of(connection)
    if client is None:
        return {}
    told = {"holdfast.identity": client.identity, "holdfast.pin_set": client.pin_set}
    return told | ({"holdfast.pin": str(client.pin)} if client.pin else {})
