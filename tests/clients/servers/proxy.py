"""An HTTP proxy that knows CONNECT (RFC 9110 section 9.3.6), over TLS or not."""

import asyncio
import contextlib

from holdfast.lab.server import Dialogue, ServerStream


def connecting_to(host: str, port: int) -> Dialogue:
    """Pass what follows a CONNECT on to one place, whatever the client asks for."""

    async def talk(stream: ServerStream) -> None:
        request = (await stream.read_line()).decode("ascii").strip()
        if not request:
            return
        stream.record.add_request(request)
        while (await stream.read_line()).strip():
            pass
        reader, writer = await asyncio.open_connection(host, port)
        await stream.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as directions:
                upwards = directions.create_task(_pass_on(stream, writer))
                while data := await reader.read(65536):
                    await stream.write(data)
                upwards.cancel()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return talk


async def _pass_on(stream: ServerStream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    writer.write_eof()
