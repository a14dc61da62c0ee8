"""HTTP/1.1 with an answer that a certain client wants."""

from holdfast.lab.server import Dialogue, ServerStream


def answering(body: bytes, *fields: str) -> Dialogue:
    """Answer each request with 200, these header fields and this body."""
    head = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *fields, "", ""]
    answer = "\r\n".join(head).encode("ascii") + body

    async def talk(stream: ServerStream) -> None:
        while (await stream.read_line()).strip():
            length = 0
            while line := (await stream.read_line()).strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            while length > 0 and (data := await stream.read(length)):
                length -= len(data)
            await stream.write(answer)

    return talk
