"""The server's end of one connection: in the clear first, then TLS, and every byte accounted for.

TLS runs over memory BIOs above a non-blocking socket, not through asyncio's transports, because
those hide failed handshakes and drop what a client sent when writing to it fails. A judge must see
both. Record framing: RFC 8446 section 5.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.lab.connection_log import Record

_Result = TypeVar("_Result")

_CHUNK = 64 * 1024
_LINE_LIMIT = 64 * 1024
_RECORD_HEADER = 5
_RECORD_LIMIT = 2**14 + 2048  # RFC 5246 section 6.2.3; TLS 1.3 allows less
_RECORD_TYPES = range(20, 25)  # change_cipher_spec to heartbeat
_KEPT_RECORDS = 256  # a handshake and a request have far fewer


class RecordFraming:
    """Follows the headers of TLS records and finds the bytes that belong to none.

    It does not depend on what OpenSSL makes of the bytes: a client that has dropped its TLS and
    goes on in plain text is caught here.

    Attributes:
        records: Type and length of each record so far, at most `_KEPT_RECORDS`.
    """

    def __init__(self) -> None:
        self.records: list[tuple[int, int]] = []
        self._header = bytearray()
        self._body_left = 0
        self._lost = False

    def outside(self, data: bytes) -> bytes:
        """Take the next bytes received and return those that are outside of TLS records."""
        position = 0
        while position < len(data) and not self._lost:
            if self._body_left:
                step = min(self._body_left, len(data) - position)
                self._body_left -= step
                position += step
                continue
            self._header.append(data[position])
            position += 1
            if not self._plausible():
                self._lost = True
                return bytes(self._header) + data[position:]
            if len(self._header) == _RECORD_HEADER:
                self._body_left = int.from_bytes(self._header[3:])
                if len(self.records) < _KEPT_RECORDS:
                    self.records.append((self._header[0], self._body_left))
                self._header.clear()
        return data[position:]

    def _plausible(self) -> bool:
        header = self._header
        return (
            header[0] in _RECORD_TYPES
            and header[1:2] in (bytearray(), bytearray(b"\x03"))
            and int.from_bytes(header[3:5]) <= _RECORD_LIMIT
        )


def reset_on_close(connection: socket.socket) -> None:
    """Let closing this connection be a TCP reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class RecordingObject(ssl.SSLObject):
    """The TLS state of a connection, which knows where to note the server name asked for."""

    record: Record


def note_server_name(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    """Note the SNI; a callback for `ssl.SSLContext.sni_callback`."""
    if isinstance(tls, RecordingObject):
        tls.record.update(server_name=name)


class ServerStream:
    """Reads and writes on one accepted connection, and notes what it sees."""

    def __init__(
        self,
        connection: socket.socket,
        record: Record,
        context: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        """Wrap an accepted, non-blocking socket.

        Args:
            connection: The socket; it stays the caller's to close.
            record: Where to note what is seen.
            context: Returns the context for a handshake that starts now; None on a server without
                TLS, where every byte is the application's.
        """
        self.record = record
        self._socket = connection
        self._context = context
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._framing = RecordFraming()
        self._buffer = b""
        self._expects_records = False
        self._client_has_gone = False
        self._has_asked = False
        self._begins_entry = False
        self._handshake: dict[str, object] = {}

    async def start_tls(self) -> None:
        """Do the handshake and note how it went; what came before it in the clear is dropped.

        Raises:
            OSError: It failed (`ssl.SSLError` included), or the client went away.
        """
        if self._context is None:
            raise RuntimeError("this server has no identity to do a handshake with")
        self.expect_records()
        tls = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        if isinstance(tls, RecordingObject):
            tls.record = self.record
        await self._drive(tls.do_handshake)
        self._tls = tls
        self._handshake = {
            "handshake_completed": True,
            "version": tls.version(),
            "alpn": tls.selected_alpn_protocol(),
            "resumed": bool(tls.session_reused),
            "client_certificate": tls.getpeercert(binary_form=True),
        }
        self.record.update(**self._handshake)

    async def client_speaks_tls(self) -> bool:
        """Wait for the client's first byte, leave it where it is, and tell whether it is TLS."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)
        first = self._socket.recv(1, socket.MSG_PEEK)
        return bool(first) and first[0] in _RECORD_TYPES

    def forget_plain(self) -> None:
        """Strike what came in the clear so far: it had to be said there, and is no loot."""
        self.record.update(plain_bytes=0, received_plain=b"")

    def begin_entry(self) -> None:
        """Note what comes next in another entry, if anything comes: this one is a prelude to it."""
        self.record.update(prelude=True)
        self._begins_entry = True

    @property
    def alpn(self) -> str | None:
        """The application protocol agreed on."""
        return self._tls.selected_alpn_protocol() if self._tls else None

    async def ask_for_certificate(self) -> None:
        """Ask for the client's certificate after a TLS 1.3 handshake (RFC 8446 section 4.6.2).

        It comes while reading, and is noted then.

        Raises:
            OSError: The client has not offered to be asked.
        """
        if self._tls is None:
            raise RuntimeError("there is no TLS in which to ask for a certificate")
        self._tls.verify_client_post_handshake()
        self._has_asked = True
        # OpenSSL sends the request with the next step, whichever it is.
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        await self._flush()

    @property
    def port(self) -> int:
        """The port that the client has come to."""
        port: int = self._socket.getsockname()[1]
        return port

    def expect_records(self) -> None:
        """From here on the client speaks TLS; what it sends outside of records is noted as such.

        For dialogues that answer a handshake by themselves. What came before is dropped.
        """
        self._buffer = b""
        self._expects_records = True

    def reset(self) -> None:
        """Break the connection off with a TCP reset, not with an end."""
        reset_on_close(self._socket)
        self._socket.close()

    async def read(self, limit: int = _CHUNK) -> bytes:
        """Return at most `limit` bytes that the client sent next, or `b""` when it has finished.

        In the clear no more is taken than that: behind it a handshake may have begun already.

        Raises:
            OSError: TLS broke. A connection that is merely cut off is an end, not an error.
        """
        data = self._buffer or await self._receive(limit)
        self._buffer = data[limit:]
        return data[:limit]

    async def read_line(self) -> bytes:
        """Return the next line with its end, or what there is of it when the client has finished.

        Raises:
            ValueError: The line is too long.
        """
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LINE_LIMIT:
                raise ValueError(f"the client sent a line of more than {_LINE_LIMIT} bytes")
            data = await self._receive()
            if not data:
                return await self.read()
            self._buffer += data
        line, end, self._buffer = self._buffer.partition(b"\n")
        return line + end

    async def write(self, data: bytes) -> None:
        """Send bytes to the client. That it has gone away shows when reading."""
        if self._tls is None:
            await self._send(data)
            return
        rest = memoryview(data)
        while rest:
            rest = rest[await self._drive(partial(self._tls.write, rest)) :]

    async def finish(self, linger: float) -> None:
        """Say good-bye, then note what the client still sends until it has finished too.

        That is where plain text behind a torn-down TLS is seen; and to hang up at once would turn
        an alert that is on its way into a reset.

        Args:
            linger: How many seconds to listen at most.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                with contextlib.suppress(OSError):
                    await self._say_good_bye()
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    while await self._receive():
                        pass
                with contextlib.suppress(OSError):
                    while await self._receive_raw():
                        pass

    async def _say_good_bye(self) -> None:
        if self._tls is None:
            return
        # Shutting down throws away records that are waiting to be read: read them first.
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self._tls.read(_CHUNK):
                self.record.add_application_bytes(data)
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()

    async def _receive(self, limit: int = _CHUNK) -> bytes:
        if self._tls is None:
            data = await self._receive_raw(limit)
            if self._context is None:
                self.record.add_application_bytes(data)
            return data
        try:
            data = await self._drive(partial(self._tls.read, _CHUNK))
        except (ssl.SSLEOFError, ConnectionError):
            return b""
        self._note_answer()
        if data and self._begins_entry:
            self._begins_entry = False
            self.record.update(closed=True)
            self.record = self.record.follow()
            self.record.update(**self._handshake)
        self.record.add_application_bytes(data)
        return data

    async def _drive(self, step: Callable[[], _Result]) -> _Result:
        """Repeat one operation of OpenSSL until it has the records that it needs."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._note_answer()
            finally:
                await self._flush()
            data = await self._receive_raw()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _note_answer(self) -> None:
        """Note the certificate that was asked for later. It comes without data, and may end all."""
        if self._tls is None or not self._has_asked:
            return
        with contextlib.suppress(ValueError):  # it is on its way
            if certificate := self._tls.getpeercert(binary_form=True):
                self.record.update(client_certificate=certificate)

    async def _receive_raw(self, limit: int = _CHUNK) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._socket, limit)
        plain = self._framing.outside(data) if self._expects_records else data
        if plain:
            self.record.add_plain_bytes(plain)
        return data

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._send(data)

    async def _send(self, data: bytes) -> None:
        """Send, or note that nobody listens: what the client sent before it left is still read."""
        if self._client_has_gone:
            return
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except ConnectionError:
            self._client_has_gone = True
