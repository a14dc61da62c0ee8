"""STOMP 1.2: frames that end with a zero byte."""

from holdfast.lab.server import ServerStream


async def stomp(stream: ServerStream) -> None:
    """Let whoever connects in, and give each receipt that is asked for."""
    data = b""
    while more := await stream.read():
        data += more
        while b"\0" in data:
            frame, _, data = data.partition(b"\0")
            head = frame.decode().strip().splitlines()
            receipt = [line.partition(":")[2] for line in head if line.startswith("receipt:")]
            if head and head[0] in {"CONNECT", "STOMP"}:
                await stream.write(b"CONNECTED\nversion:1.1\n\n\0")
            elif receipt:
                await stream.write(f"RECEIPT\nreceipt-id:{receipt[0]}\n\n\0".encode())
