"""Servers behind proxies of the lab's own: what the client asks the proxy for is no loot.

The tunnel is CONNECT (RFC 9110 section 9.3.6), to one place, whatever the client asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from holdfast.lab.dialogues import http_dialogue
from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from holdfast.lab.authorities import Identity
    from holdfast.lab.server import ServerStream

__all__ = ["http_proxy", "https_proxy"]

_CHUNK = 64 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def http_proxy(identity: Identity) -> LabServer:
    """Return a proxy that is asked in the clear; behind it is a server that shows `identity`."""
    later = http_dialogue(b"hello from the lab\n", {})

    async def talk(stream: ServerStream) -> None:
        if await stream.client_speaks_tls() or not await _asks_for_tunnel(stream):
            return  # the client takes us for the server itself
        stream.forget_plain()
        await stream.write(_ESTABLISHED)
        await stream.start_tls()
        await later(stream)

    return LabServer(identity, starttls=talk)


def https_proxy(proxy: Identity, identity: Identity) -> LabServer:
    """Return a proxy that shows `proxy`; within its TLS is a server that shows `identity`.

    The log has two entries for each tunnel: the proxy's is a prelude.
    """
    server = LabServer(identity)

    async def talk(stream: ServerStream) -> None:
        stream.record.update(prelude=True)
        if not await _asks_for_tunnel(stream):
            return
        await stream.write(_ESTABLISHED)
        near, far = socket.socketpair()
        with near, far:
            near.settimeout(0)
            far.settimeout(0)
            record = stream.record.follow()
            try:
                async with asyncio.TaskGroup() as tunnel:
                    tunnel.create_task(_send_up(stream, near))
                    tunnel.create_task(_send_down(near, stream))
                    await server.attend(far, record)
                    far.close()
            finally:
                record.update(closed=True)

    return LabServer(proxy, dialogue=talk)


async def _asks_for_tunnel(stream: ServerStream) -> bool:
    """Read the head of a request, and tell whether it is CONNECT."""
    request = await stream.read_line()
    while (await stream.read_line()).strip():
        pass
    return request.startswith(b"CONNECT ")


async def _send_up(stream: ServerStream, tunnel: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side has gone
        while data := await stream.read():
            await asyncio.get_running_loop().sock_sendall(tunnel, data)
        tunnel.shutdown(socket.SHUT_WR)


async def _send_down(tunnel: socket.socket, stream: ServerStream) -> None:
    with contextlib.suppress(OSError):
        while data := await asyncio.get_running_loop().sock_recv(tunnel, _CHUNK):
            await stream.write(data)
        await stream.finish(0)
