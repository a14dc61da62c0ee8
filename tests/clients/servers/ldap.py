"""LDAP (RFC 4511): StartTLS, and success to whatever is asked. Messages have under 128 bytes."""

from holdfast.lab.server import ServerStream
from tests.clients.servers.reading import read_exactly

START_TLS = b"1.3.6.1.4.1.1466.20037"
_UNBIND = 0x42
_SUCCESS = b"\x0a\x01\x00\x04\x00\x04\x00"
_UNAVAILABLE = b"\x0a\x01\x34\x04\x00\x04\x00"


async def ldap(stream: ServerStream) -> None:
    """Answer until the client unbinds."""
    await _answer(stream, has_tls=True)


async def ldap_without_tls(stream: ServerStream) -> None:
    """Say that there is none when it is asked for."""
    await _answer(stream, has_tls=False)


async def _answer(stream: ServerStream, *, has_tls: bool) -> None:
    while True:
        _, length = await read_exactly(stream, 2)
        message = await read_exactly(stream, length)
        number, operation = message[: 2 + message[1]], message[2 + message[1]]
        if operation == _UNBIND:
            return
        result = _SUCCESS if has_tls or START_TLS not in message else _UNAVAILABLE
        # A response's tag is the request's, and one.
        response = number + bytes([operation + 1, len(result)]) + result
        await stream.write(bytes([0x30, len(response)]) + response)
        if START_TLS in message and has_tls:
            await stream.start_tls()
