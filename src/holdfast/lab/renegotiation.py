"""A TLS 1.2 server that asks for a second handshake and shows another key in it (RFC 5246).

`ssl` cannot ask for that; pyOpenSSL can (the `lab` extra). Its connection reads and writes memory,
so that the lab's stream still sees, and logs, each byte.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import HoldfastError
from holdfast.lab.dialogues import http_dialogue
from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL.SSL import Connection, Context

    from holdfast.lab.authorities import Identity
    from holdfast.lab.connection_log import Record
    from holdfast.lab.server import ServerStream

__all__ = ["renegotiating_server"]

_Result = TypeVar("_Result")

_CHUNK = 64 * 1024
_END_OF_HEADERS = b"\r\n\r\n"
# On the same connection the next request goes to whoever did the second handshake.
_ELSEWHERE = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nrogue\n"


def renegotiating_server(first: Identity, second: Identity) -> LabServer:
    """Return a server that shows `first`, reads a request, and answers it as `second`.

    The log has two entries then: the first handshake with the request is a prelude, the second
    handshake counts, with what is sent after it. Later connections are shown `second` only.

    Raises:
        HoldfastError: pyOpenSSL is not installed.
    """
    try:
        from OpenSSL import SSL
    except ImportError as error:
        raise HoldfastError(
            "renegotiation needs pyOpenSSL, which is not installed",
            hint='install it with: pip install "holdfast[lab]"',
        ) from error
    later = http_dialogue(b"rogue\n", {})
    has_asked = False

    async def talk(stream: ServerStream) -> None:
        nonlocal has_asked
        if has_asked:
            await stream.start_tls()
            await later(stream)
            return
        has_asked = True
        stream.expect_records()
        connection = SSL.Connection(_context(first))
        connection.set_accept_state()
        await _drive(connection, stream, connection.do_handshake)
        _note_handshake(stream.record, connection)
        await _read_request(connection, stream, stream.record)
        stream.record.update(prelude=True)
        again = stream.record.follow()
        try:
            connection.set_context(_context(second))
            await _shake_hands_again(connection, stream)
            _note_handshake(again, connection)
            await _drive(connection, stream, partial(connection.send, _ELSEWHERE))
            await _read_request(connection, stream, again)
            await _drive(connection, stream, partial(connection.send, _ANSWER))
        except (SSL.Error, EOFError) as error:
            again.update(error=repr(error))
        finally:
            again.update(closed=True)

    return LabServer(second, starttls=talk)


def _context(identity: Identity) -> Context:
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    # A session that is resumed in the second handshake would bring no certificate.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    context.use_certificate(identity.certificate)
    for certificate in identity.chain[1:]:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(identity.key)
    return context


def _note_handshake(record: Record, connection: Connection) -> None:
    record.update(
        handshake_completed=True,
        server_name=(connection.get_servername() or b"").decode("ascii") or None,
        version=connection.get_protocol_version_name(),
    )


async def _shake_hands_again(connection: Connection, stream: ServerStream) -> None:
    """Ask for another handshake, and read until the client has gone through with it."""
    connection.renegotiate()
    await _drive(connection, stream, connection.do_handshake)  # only asks
    await _drive(
        connection,
        stream,
        partial(connection.recv, _CHUNK),
        until=lambda: not connection.renegotiate_pending(),
    )


async def _read_request(connection: Connection, stream: ServerStream, record: Record) -> None:
    request = b""
    while _END_OF_HEADERS not in request:
        data = await _drive(connection, stream, partial(connection.recv, _CHUNK))
        record.add_application_bytes(data or b"")
        request += data or b""


async def _drive(
    connection: Connection,
    stream: ServerStream,
    step: Callable[[], _Result],
    *,
    until: Callable[[], bool] = lambda: False,
) -> _Result | None:
    """Repeat one operation of OpenSSL until it has the records that it needs, or `until` holds.

    Raises:
        EOFError: The client has finished.
        OpenSSL.SSL.Error: TLS broke.
    """
    from OpenSSL import SSL

    while True:
        try:
            return step()
        except SSL.WantReadError:
            pass
        finally:
            await _flush(connection, stream)
        if until():
            return None
        data = await stream.read()
        if not data:
            raise EOFError("the client has finished")
        connection.bio_write(data)


async def _flush(connection: Connection, stream: ServerStream) -> None:
    from OpenSSL import SSL

    try:
        while data := connection.bio_read(_CHUNK):
            await stream.write(data)
    except SSL.WantReadError:  # there is no more
        pass
