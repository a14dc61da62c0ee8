"""What the lab's servers say: just enough HTTP/1.1 (RFC 9112) and SMTP (RFC 5321, RFC 3207).

A dialogue is a coroutine function over a `ServerStream`; tests bring their own for other protocols.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from holdfast.lab.server_stream import ServerStream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Dialogue = Callable[[ServerStream], Awaitable[None]]


def http_dialogue(body: bytes, redirects: Mapping[str, str]) -> Dialogue:
    """Answer every request with 200 and `body`, or with a redirect.

    Args:
        body: What to answer.
        redirects: From a path, as requested, to the location to send the client to.
    """

    async def locate(_stream: ServerStream, path: str, _port: int) -> str | None:
        return redirects.get(path)

    return _http(body, locate, hangs_up=False)


def lead_on(
    host: str, stops: Sequence[Callable[[], None]] = (lambda: None,), *, pause: float = 0
) -> Dialogue:
    """Send the client on from "/" by redirects, so that it connects anew in the same run.

    What it sends until then is no loot: each connection but the last is marked as a prelude.

    Args:
        host: Where it is sent to at last, on the port that it asked for.
        stops: What to do before it is sent on, one for each redirect; those before the last lead
            back to the host that the client has come to.
        pause: Seconds to wait at each stop, after that was done.
    """
    paths = ["/", *(f"/{number}" for number in range(1, len(stops) + 1))]

    async def locate(stream: ServerStream, path: str, port: int) -> str | None:
        if path not in paths[:-1]:
            return None
        stream.record.update(prelude=True)
        stop = paths.index(path)
        stops[stop]()
        await asyncio.sleep(pause)
        following = paths[stop + 1]
        is_last = following == paths[-1]
        return f"https://{host}:{port}{following}" if is_last else following

    return _http(b"hello from the lab\n", locate, hangs_up=True)


def _http(
    body: bytes,
    locate: Callable[[ServerStream, str, int], Awaitable[str | None]],
    *,
    hangs_up: bool,
) -> Dialogue:
    """Answer every request with 200 and `body`, or send the client to where `locate` says."""

    async def talk(stream: ServerStream) -> None:
        while line := await stream.read_line():
            request = line.decode("latin-1").strip()
            stream.record.add_request(request)
            method, path, version = request.split(" ")
            headers = await _read_headers(stream)
            if "transfer-encoding" in headers:
                await stream.write(_http_head("411 Length Required", 0, ["connection: close"]))
                return
            await _skip(stream, int(headers.get("content-length", "0")))
            location = await locate(stream, path, _port_asked_for(headers, stream))
            last = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
            last = last or (hangs_up and location is not None)
            fields = ["connection: close"] if last else []
            if location is not None:
                fields.append(f"location: {location}")
                await stream.write(_http_head("307 Temporary Redirect", 0, fields))
            else:
                head = _http_head("200 OK", len(body), [*fields, "content-type: text/plain"])
                await stream.write(head if method == "HEAD" else head + body)
            if last:
                return

    return talk


async def smtp_dialogue(stream: ServerStream) -> None:
    """Greet in the clear, go over to TLS at STARTTLS, and understand EHLO, NOOP, RSET and QUIT."""
    secure = False
    await stream.write(b"220 lab ESMTP\r\n")
    while line := await stream.read_line():
        command = line.decode("latin-1").strip()
        stream.record.add_request(command)
        match command.partition(" ")[0].upper():
            case "EHLO":
                await stream.write(b"250 lab\r\n" if secure else b"250-lab\r\n250 STARTTLS\r\n")
            case "STARTTLS" if not secure:
                await stream.write(b"220 go ahead\r\n")
                await stream.start_tls()
                secure = True
            case "HELO" | "NOOP" | "RSET":
                await stream.write(b"250 ok\r\n")
            case "QUIT":
                await stream.write(b"221 bye\r\n")
                return
            case _:
                await stream.write(b"502 not here\r\n")


def _port_asked_for(headers: Mapping[str, str], stream: ServerStream) -> int:
    """Return the port in the client's URL; a relay may stand between that and the server's own."""
    port = headers.get("host", "").rpartition(":")[2]
    return int(port) if port.isdecimal() else stream.port


def _http_head(status: str, length: int, fields: list[str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {length}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _read_headers(stream: ServerStream) -> dict[str, str]:
    headers = {}
    while (line := await stream.read_line()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


async def _skip(stream: ServerStream, length: int) -> None:
    """Read a request's body, which nobody needs: what arrived is in the log."""
    while length > 0 and (data := await stream.read(length)):
        length -= len(data)
