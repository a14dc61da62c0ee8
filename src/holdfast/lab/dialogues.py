"""What the lab's servers say: just enough HTTP/1.1 (RFC 9112), SMTP (RFC 5321) and IMAP (RFC 3501).

A dialogue is a coroutine function over a `ServerStream`; tests bring their own for other protocols.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

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

    async def locate(_stream: ServerStream, path: str, _headers: Mapping[str, str]) -> str | None:
        return redirects.get(path)

    return _http(body, locate, hangs_up=False)


def lead_on(
    host: str,
    stops: Sequence[Callable[[], None]] = (lambda: None,),
    *,
    pause: float = 0,
    scheme: Literal["https", "http"] = "https",
    hangs_up: bool = True,
) -> Dialogue:
    """Send the client on from "/" by redirects, so that it connects anew in the same run.

    What it sends until then is no loot: each connection but the last is marked as a prelude. One
    that goes on has another entry in the log from there.

    Args:
        host: Where it is sent to at last, on the port that it asked for.
        stops: What to do before it is sent on, one for each redirect; those before the last lead
            back to the host that the client has come to.
        pause: Seconds to wait at each stop, after that was done.
        scheme: Of where it is sent to at last.
        hangs_up: Let it connect anew each time; otherwise the connection stays open for more.
    """
    paths = ["/", *(f"/{number}" for number in range(1, len(stops) + 1))]

    async def locate(stream: ServerStream, path: str, headers: Mapping[str, str]) -> str | None:
        if path not in paths[:-1]:
            return None
        stream.begin_entry()
        stop = paths.index(path)
        stops[stop]()
        await asyncio.sleep(pause)
        following = paths[stop + 1]
        if following != paths[-1]:
            return following
        return f"{scheme}://{host}:{_port_asked_for(headers, stream)}{following}"

    return _http(b"hello from the lab\n", locate, hangs_up=hangs_up)


async def overheard(stream: ServerStream) -> None:
    """Answer like an honest server, which is not the one that attacks."""
    stream.record.update(prelude=True)
    await http_dialogue(b"hello from the lab\n", {})(stream)


def _http(
    body: bytes,
    locate: Callable[[ServerStream, str, Mapping[str, str]], Awaitable[str | None]],
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
            location = await locate(stream, path, headers)
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


async def imap_dialogue(stream: ServerStream) -> None:
    """Greet in the clear, go over to TLS at STARTTLS, and understand what needs no mailbox."""
    secure = False
    await stream.write(b"* OK lab\r\n")
    while line := await stream.read_line():
        command = line.decode("latin-1").strip()
        stream.record.add_request(command)
        tag, _, rest = command.partition(" ")
        answer = "OK done"
        match rest.partition(" ")[0].upper():
            case "CAPABILITY":
                offers = "" if secure else " STARTTLS"
                await stream.write(f"* CAPABILITY IMAP4rev1{offers}\r\n".encode("ascii"))
            case "NOOP":
                pass
            case "STARTTLS" if not secure:
                await stream.write(f"{tag} OK done\r\n".encode("latin-1"))
                await stream.start_tls()
                secure = True
                continue
            case "LOGOUT":
                await stream.write(f"* BYE lab\r\n{tag} OK done\r\n".encode("latin-1"))
                return
            case _:
                answer = "BAD not here"
        await stream.write(f"{tag} {answer}\r\n".encode("latin-1"))


async def imap_in_the_clear(stream: ServerStream, greeting: bytes) -> None:
    """Speak IMAP without STARTTLS, and say yes to everything else."""
    await stream.write(greeting)
    while line := await stream.read_line():
        tag, _, command = line.strip().partition(b" ")
        word = command.upper().partition(b" ")[0]
        if word == b"CAPABILITY":
            await stream.write(b"* CAPABILITY IMAP4rev1\r\n")
        await stream.write(tag + (b" BAD not here\r\n" if word == b"STARTTLS" else b" OK done\r\n"))


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
