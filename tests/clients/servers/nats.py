"""NATS: INFO in the clear, then TLS, then lines."""

import json

from holdfast.lab.server import ServerStream

_INFO = {
    "server_id": "lab",
    "server_name": "lab",
    "version": "2.10.0",
    "proto": 1,
    "host": "127.0.0.1",
    "port": 4222,
    "max_payload": 1_048_576,
    "headers": True,
}


async def nats(stream: ServerStream) -> None:
    """Ask for TLS in the clear, and answer each PING over it."""
    await _greet(stream, tls_required=True)
    await stream.start_tls()
    await _answer(stream)


async def nats_over_tls(stream: ServerStream) -> None:
    """Greet where TLS is there already."""
    await _greet(stream, tls_required=True)
    await _answer(stream)


async def nats_without_tls(stream: ServerStream) -> None:
    """Say that there is none."""
    await _greet(stream, tls_required=False)
    await _answer(stream)


async def _greet(stream: ServerStream, *, tls_required: bool) -> None:
    info = json.dumps({**_INFO, "tls_required": tls_required})
    await stream.write(f"INFO {info}\r\n".encode())


async def _answer(stream: ServerStream) -> None:
    while line := await stream.read_line():
        if line.startswith(b"PING"):
            await stream.write(b"PONG\r\n")
