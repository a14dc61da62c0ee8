"""What binary protocols read: so many bytes, and no fewer."""

from holdfast.lab.server import ServerStream


async def read_exactly(stream: ServerStream, count: int) -> bytes:
    """Return the next bytes.

    Raises:
        EOFError: The client has finished before.
    """
    data = b""
    while len(data) < count:
        more = await stream.read(count - len(data))
        if not more:
            raise EOFError("the client has finished")
        data += more
    return data
