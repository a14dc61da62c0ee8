"""MySQL: a greeting in the clear, TLS when the client asks for it, and OK to whatever it says."""

import struct

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

_SSL = 0x800
SSL_REQUEST = bytes(23)  # how it ends
# PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, and the rest that clients take for granted
_CAPABILITIES = 0x0008_A20D
_QUIT = b"\x01"
_OK = b"\x00\x00\x00\x02\x00\x00\x00"


async def mysql(stream: ServerStream) -> None:
    """Go over to TLS, let whoever logs in in, and answer until QUIT."""
    await _send(stream, 0, _greeting(_CAPABILITIES | _SSL))
    _, request = await _packet(stream)
    assert struct.unpack("<I", request[:4])[0] & _SSL
    await stream.start_tls()
    await _answer(stream)


async def mysql_without_tls(stream: ServerStream) -> None:
    """Say that there is none, and let whoever logs in in."""
    await _send(stream, 0, _greeting(_CAPABILITIES))
    await _answer(stream)


def _greeting(capabilities: int) -> bytes:
    return (
        b"\x0a8.0.0\x00"
        + struct.pack("<I", 1)
        + b"8 random\x00"
        + struct.pack("<HBHH", capabilities & 0xFFFF, 45, 2, capabilities >> 16)
        + bytes([21])
        + bytes(10)
        + b"and 12 more!\x00mysql_native_password\x00"
    )


async def _answer(stream: ServerStream) -> None:
    while True:
        sequence, packet = await _packet(stream)
        if packet == _QUIT:
            return
        await _send(stream, sequence + 1, _OK)


async def _packet(stream: ServerStream) -> tuple[int, bytes]:
    head = await read_exactly(stream, 4)
    return head[3], await read_exactly(stream, int.from_bytes(head[:3], "little"))


async def _send(stream: ServerStream, sequence: int, payload: bytes) -> None:
    await stream.write(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)
