"""Redis: commands as arrays of bulk strings (RESP), which are all understood."""

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

_ANSWERS = {
    b"HELLO": b"%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n",
    b"PING": b"+PONG\r\n",
}


async def redis(stream: ServerStream) -> None:
    """Answer until the client goes."""
    while line := await stream.read_line():
        words = []
        for _ in range(int(line[1:])):
            length = int((await stream.read_line())[1:])
            words.append((await read_exactly(stream, length + 2))[:-2])
        await stream.write(_ANSWERS.get(words[0].upper(), b"+OK\r\n"))
