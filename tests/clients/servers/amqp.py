"""AMQP 0-9-1, as RabbitMQ speaks it: a connection is opened and closed, channels too."""

import struct

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

_METHOD, _END = 1, b"\xce"
_START = b"\x00\x09" + struct.pack(">I", 0) + b"\x00\x00\x00\x05PLAIN" + b"\x00\x00\x00\x05en_US"
_TUNE = struct.pack(">HIH", 2047, 131_072, 0)
# From what the client says to what it is answered, each by class and method.
_ANSWERS = {
    (10, 11): ((10, 30), _TUNE),
    (10, 40): ((10, 41), b"\x00"),
    (10, 50): ((10, 51), b""),
    (20, 10): ((20, 11), b"\x00\x00\x00\x00"),
    (20, 40): ((20, 41), b""),
}


async def amqp(stream: ServerStream) -> None:
    """Answer until the connection is closed."""
    await read_exactly(stream, 8)
    await _send(stream, 0, (10, 10), _START)
    while True:
        kind, channel, size = struct.unpack(">BHI", await read_exactly(stream, 7))
        payload = (await read_exactly(stream, size + 1))[:-1]
        method = struct.unpack(">HH", payload[:4])
        if kind == _METHOD and method in _ANSWERS:
            await _send(stream, channel, *_ANSWERS[method])


async def _send(
    stream: ServerStream, channel: int, method: tuple[int, int], arguments: bytes
) -> None:
    payload = struct.pack(">HH", *method) + arguments
    await stream.write(struct.pack(">BHI", _METHOD, channel, len(payload)) + payload + _END)
