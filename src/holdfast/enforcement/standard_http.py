"""Plain text and redirects of the standard library's HTTP, while enforcement is process-wide.

What a TLS context cannot see, because there is no TLS: a listed host that is asked in the clear by
`http.client`, and by what is built on it (urllib, urllib3, requests, botocore); and redirects that
urllib follows away from an enforced host. Redirects of other libraries are for their own helpers.

Hosts that no pattern covers may be asked in the clear, whatever `unlisted` says: who has no TLS has
no key that a policy could name, as a cloud's metadata service.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import HTTPRedirectHandler, Request

from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.redirects import Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.enforcement.request_check import RequestCheck

__all__ = ["Hook", "http_hooks"]

_UNIX = getattr(socket, "AF_UNIX", None)


class Hook(NamedTuple):
    """What is to stand in a class while enforcement is process-wide."""

    owner: type
    name: str
    method: Callable[..., Any]


def http_hooks(check: RequestCheck) -> Iterator[Hook]:
    """Yield the hooks by which requests come to be checked before they are sent.

    Args:
        check: Refuses what must not be sent, by a `PinViolationError`, a `HostNameError` or a
            `PinnedContextError`.
    """
    # As they are now: an instrumentation may have put its own there before.
    plain_putrequest = HTTPConnection.putrequest
    plain_endheaders = HTTPConnection.endheaders
    plain_redirect_request = HTTPRedirectHandler.redirect_request

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_holdfast_url"] = url
        plain_putrequest(self, method, url, *args, **kwargs)

    def endheaders(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()  # as it would do next; only now it is certain whether there is TLS
        if _is_plain(self.sock):
            host, port = _target_of(self)
            try:
                if check.is_listed(host):
                    check.check("http", host, port)
            except BaseException:
                self.close()
                raise
        plain_endheaders(self, *args, **kwargs)

    def redirect_request(
        self: Any,
        request: Request,
        answer: Any,
        code: int,
        reason: str,
        headers: Any,
        url: str,
    ) -> Request | None:
        followed = plain_redirect_request(self, request, answer, code, reason, headers, url)
        if followed is not None:
            try:
                _follow(check, request, followed)
            except BaseException:
                answer.close()
                raise
        return followed

    yield Hook(HTTPConnection, "putrequest", putrequest)
    yield Hook(HTTPConnection, "endheaders", endheaders)
    yield Hook(HTTPRedirectHandler, "redirect_request", redirect_request)


def _follow(check: RequestCheck, request: Request, followed: Request) -> None:
    """Check a request that follows from the answer to another one."""
    # Behind a proxy the host of `request` is the proxy's by now.
    asked = Request(request.full_url)  # noqa: S310  it is only read
    left, _ = _host_of(asked.host)
    target, port = _host_of(followed.host)
    if check.is_listed(left) or check.is_listed(target):
        check.check(followed.type, target, port, Hop(asked.type, canonical_host(left)))


def _is_plain(sock: Any) -> bool:
    """Tell whether what is sent can be read on the way."""
    has_tls = hasattr(sock, "getpeercert")  # of whatever make
    stays_here = _UNIX is not None and getattr(sock, "family", None) == _UNIX
    return sock is not None and not has_tls and not stays_here


def _target_of(connection: Any) -> tuple[str, int | None]:
    """Return whom a plain request is for: behind a proxy, whom its URL or the tunnel names."""
    _, is_whole, rest = connection.__dict__.get("_holdfast_url", "").partition("://")
    if is_whole:
        return _host_of(rest.partition("/")[0].rpartition("@")[2])
    tunnel = getattr(connection, "_tunnel_host", None)
    if tunnel:
        return tunnel, getattr(connection, "_tunnel_port", None)
    return connection.host, connection.port


def _host_of(netloc: str | None) -> tuple[str, int | None]:
    """Return host and port as `http.client` reads them."""
    connection = HTTPConnection(netloc or "")
    return connection.host, connection.port
