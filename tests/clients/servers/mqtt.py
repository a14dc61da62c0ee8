"""MQTT 3.1.1: whoever connects is accepted."""

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly


async def mqtt(stream: ServerStream) -> None:
    """Acknowledge CONNECT and PINGREQ; the packets are short, their length is one byte."""
    while True:
        kind, length = await read_exactly(stream, 2)
        await read_exactly(stream, length)
        match kind >> 4:
            case 1:  # CONNECT: CONNACK, accepted
                await stream.write(b"\x20\x02\x00\x00")
            case 12:  # PINGREQ: PINGRESP
                await stream.write(b"\xd0\x00")
            case 14:  # DISCONNECT
                return
