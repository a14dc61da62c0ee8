"""Kafka: which requests there are, which brokers (this one), and no topics."""

import struct

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

_METADATA, _API_VERSIONS = 3, 18
_BROKER = "localhost"


async def kafka(stream: ServerStream) -> None:
    """Answer in the oldest version of each response that clients understand."""
    while True:
        (size,) = struct.unpack(">i", await read_exactly(stream, 4))
        request = await read_exactly(stream, size)
        kind, version, number = struct.unpack(">hhi", request[:8])
        if kind == _API_VERSIONS and version > 0:
            body = struct.pack(">h", 35) + _versions()  # UNSUPPORTED_VERSION: ask with version 0
        elif kind == _API_VERSIONS:
            body = struct.pack(">h", 0) + _versions()
        else:
            body = _metadata(stream.port)
        answer = struct.pack(">i", number) + body
        await stream.write(struct.pack(">i", len(answer)) + answer)


def _versions() -> bytes:
    ranges = {_METADATA: (0, 1), _API_VERSIONS: (0, 0)}
    return struct.pack(">i", len(ranges)) + b"".join(
        struct.pack(">hhh", kind, *versions) for kind, versions in ranges.items()
    )


def _metadata(port: int) -> bytes:
    """Version 1: the brokers, the controller, the topics."""
    broker = struct.pack(">ih", 1, len(_BROKER)) + _BROKER.encode() + struct.pack(">ih", port, -1)
    return struct.pack(">i", 1) + broker + struct.pack(">ii", 1, 0)
