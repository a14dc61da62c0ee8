"""Passes connections on, byte by byte, from one fixed place to wherever the lab says.

It stands in front of the lab's servers where the client cannot be told another port for each of
them: behind a proxy, and for a device on the bench.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Self

from holdfast.lab.loop_thread import LoopThread
from holdfast.lab.server_stream import reset_on_close
from holdfast.lab.stage import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Place", "Relay"]

Place = tuple[str, int]  # host and port

_CHUNK = 64 * 1024
_CONNECT_SECONDS = 10.0


class Relay:
    """Listens until it is closed. A context manager.

    Attributes:
        target: Where connections are passed on to; None: they are closed.
    """

    def __init__(self, *, address: str = LOOPBACK, port: int = 0) -> None:
        """Begin to listen.

        Args:
            address: The address to listen on.
            port: The port; 0 takes a free one.

        Raises:
            OSError: The address cannot be listened on.
        """
        self.target: Place | None = None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family)
        self.address, self.port = self._listener.getsockname()[:2]
        self._thread = LoopThread(self._serve(), f"lab relay {self.port}")

    def __enter__(self) -> Self:
        """Listen already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and drop what is still open."""
        self.close()

    def close(self) -> None:
        """Stop listening and drop what is still open."""
        self._thread.stop()
        self._listener.close()  # where the thread had not begun to

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self.target is not None:
            await pass_on(reader, writer, self.target)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as connections:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connections.create_task(self._attend(reader, writer))

            server = await asyncio.start_server(accept, sock=self._listener)
            try:
                await asyncio.get_running_loop().create_future()  # until cancelled by `close`
            finally:
                server.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whatever goes wrong, it is one connection less and no more than that.
        with contextlib.closing(writer), contextlib.suppress(Exception):
            await self.attend(reader, writer)


async def pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    place: Place,
    *,
    note_up: Callable[[bytes], object] = len,
    note_down: Callable[[bytes], object] = len,
) -> None:
    """Connect to `place` and pass bytes on in both directions, ends and resets included.

    Args:
        reader: What the client sends.
        writer: What it receives.
        place: Where to connect to.
        note_up: Is shown what goes to the server.
        note_down: Is shown what goes to the client.

    Raises:
        OSError: The place cannot be reached.
    """
    async with asyncio.timeout(_CONNECT_SECONDS):
        far_reader, far_writer = await asyncio.open_connection(*place)
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pump(reader, far_writer, note_up))
            directions.create_task(_pump(far_reader, writer, note_down))
    finally:
        far_writer.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Callable[[bytes], object]
) -> None:
    try:
        while data := await source.read(_CHUNK):
            note(data)
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:  # a reset on one side is one on the other
        with contextlib.suppress(OSError):
            reset_on_close(sink.get_extra_info("socket"))
        sink.transport.abort()
