"""PostgreSQL: TLS when the client asks for it or at once, a login, and simple queries."""

import struct

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

SSL_REQUEST = struct.pack(">II", 8, 80877103)
_READY = b"Z\x00\x00\x00\x05I"
_TEXT = 25
_VALUE = b"hello from the lab"


async def postgres(stream: ServerStream) -> None:
    """Go over to TLS, then as over TLS."""
    assert SSL_REQUEST == await read_exactly(stream, len(SSL_REQUEST))
    await stream.write(b"S")
    await stream.start_tls()
    await postgres_over_tls(stream)


async def postgres_without_tls(stream: ServerStream) -> None:
    """Say that there is none, and go on."""
    assert SSL_REQUEST == await read_exactly(stream, len(SSL_REQUEST))
    await stream.write(b"N")
    await postgres_over_tls(stream)


async def postgres_over_tls(stream: ServerStream) -> None:
    """Let whoever comes in, and answer each simple query with one row."""
    await read_exactly(stream, struct.unpack(">I", await read_exactly(stream, 4))[0] - 4)
    await stream.write(_message(b"R", struct.pack(">I", 0)))
    for name, value in (("server_version", "17.0"), ("client_encoding", "UTF8")):
        await stream.write(_message(b"S", f"{name}\0{value}\0".encode()))
    await stream.write(_message(b"K", struct.pack(">II", 1, 2)) + _READY)
    while True:
        kind = await read_exactly(stream, 1)
        await read_exactly(stream, struct.unpack(">I", await read_exactly(stream, 4))[0] - 4)
        match kind:
            case b"Q":
                await stream.write(_ROW + _message(b"C", b"SELECT 1\0") + _READY)
            case b"X":
                return


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


_ROW = _message(
    b"T", struct.pack(">h", 1) + b"greeting\0" + struct.pack(">ihihih", 0, 0, _TEXT, -1, -1, 0)
) + _message(b"D", struct.pack(">hi", 1, len(_VALUE)) + _VALUE)
