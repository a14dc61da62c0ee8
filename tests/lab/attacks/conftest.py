"""A client that goes where it is sent, as browsers and HTTP libraries do."""

import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

Connect = Callable[[str], ssl.SSLSocket | None]
Follow = Callable[[str, Connect], bytes]

MOST_REDIRECTS = 5


@pytest.fixture(scope="session")
def follow() -> Follow:
    """Return a function that requests "/" of a host, follows, and returns the last answer.

    It stays on a connection that the server leaves open, and otherwise asks for a new one to the
    host that it is sent to; None instead of a connection ends it, with no answer.
    """

    def follow(host: str, connect: Connect) -> bytes:
        path, tls, answer = "/", None, b""
        for _ in range(MOST_REDIRECTS + 1):
            tls = tls or connect(host)
            if tls is None:
                return b""
            try:
                answer, fields = _ask(tls, host, path)
            except OSError:
                tls.close()
                raise
            if "location" not in fields or fields.get("connection") == "close":
                tls.close()
                tls = None
            if "location" not in fields:
                break
            location = urlsplit(fields["location"])
            host, path = location.hostname or host, location.path
        return answer

    return follow


def _ask(tls: ssl.SSLSocket, host: str, path: str) -> tuple[bytes, dict[str, str]]:
    """Return the answer to one request, and its header fields."""
    tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = tls.recv(65536)
    lines = answer.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    if "location" in fields and fields.get("connection") == "close":
        while tls.recv(65536):  # session tickets may be on their way
            pass
    return answer, fields
