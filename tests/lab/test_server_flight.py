import socket
import ssl

import pytest

from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random

HELLO_START = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def root() -> Authority:
    """The anchor that clients trust."""
    return Authority.new("Lab Root")


@pytest.fixture(scope="module")
def identity(root: Authority) -> Identity:
    """A server identity with an intermediate."""
    return root.intermediate("Lab Intermediate").issue("localhost")


@pytest.mark.parametrize("repeats", [1, 60], ids=["one record", "several records"])
def test_all_of_the_flight_is_in_order_but_the_signature(
    root: Authority, identity: Identity, repeats: int
) -> None:
    """A verifying client accepts name and chain, and refuses only the proof of possession."""
    leaf, *rest = (der(certificate) for certificate in identity.chain)

    async def talk(stream: ServerStream) -> None:
        random = await read_client_random(stream)
        await stream.write(flight_without_key([leaf, *rest * repeats], random))

    context = ssl.create_default_context(cadata=root.pem)
    with (
        LabServer(identity, starttls=talk) as server,
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
        pytest.raises(ssl.SSLError) as failure,
    ):
        context.wrap_socket(tcp, server_hostname="localhost")

    assert "BAD_SIGNATURE" == failure.value.reason


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_the_clients_random_is_found(identity: Identity, step: int) -> None:
    """However the ClientHello is cut, its random bytes are the 32 behind its version."""
    found: list[bytes] = []
    expected = bytes(range(32))
    hello = HELLO_START + expected + b"\x20"

    async def talk(stream: ServerStream) -> None:
        found.append(await read_client_random(stream))

    with (
        LabServer(identity, starttls=talk) as server,
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
    ):
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(hello), step):
            tcp.sendall(hello[start : start + step])
        tcp.shutdown(socket.SHUT_WR)
        (seen,) = server.wait_for(1)

    assert [expected] == found
    assert (None, 0) == (seen.error, seen.plain_bytes)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\n\r\n", HELLO_START, b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
)
def test_anything_else_is_an_error(identity: Identity, sent: bytes) -> None:
    """A client that sends no ClientHello, or not all of it, is in the log as such."""

    async def talk(stream: ServerStream) -> None:
        await read_client_random(stream)

    with (
        LabServer(identity, starttls=talk) as server,
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
    ):
        tcp.sendall(sent)
        tcp.shutdown(socket.SHUT_WR)
        (seen,) = server.wait_for(1)

    assert "ValueError('the client sent no ClientHello')" == seen.error
