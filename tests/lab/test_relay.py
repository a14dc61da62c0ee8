import socket
import struct
from collections.abc import Iterator

import pytest

from holdfast.lab.relay import Relay
from holdfast.lab.server import LabServer, ServerStream


async def _echo(stream: ServerStream) -> None:
    while line := await stream.read_line():
        if line == b"reset\n":
            stream.reset()
            return
        await stream.write(line)


@pytest.fixture
def server() -> Iterator[LabServer]:
    """Return a server that repeats lines."""
    with LabServer(None, dialogue=_echo) as server:
        yield server


def _connect(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.address, relay.port), timeout=5)


def test_bytes_and_ends_are_passed_on(server: LabServer) -> None:
    """What is sent comes back, and when the client has finished so has the server."""
    with Relay() as relay:
        relay.target = server.address, server.port
        with _connect(relay) as tcp:
            tcp.sendall(b"one\n")
            assert tcp.recv(100) == b"one\n"
            tcp.shutdown(socket.SHUT_WR)
            assert tcp.recv(100) == b""
        (seen,) = server.wait_for(1)

    assert seen.received == b"one\n"


def test_a_reset_is_passed_on(server: LabServer) -> None:
    """A server that resets is met as one that resets."""
    with Relay() as relay:
        relay.target = server.address, server.port
        with _connect(relay) as tcp:
            tcp.sendall(b"reset\n")
            with pytest.raises(ConnectionResetError):
                tcp.recv(100)


def test_a_client_that_resets(server: LabServer) -> None:
    """A client that resets is gone for the server too."""
    with Relay() as relay:
        relay.target = server.address, server.port
        with _connect(relay) as tcp:
            tcp.sendall(b"one\n")
            assert tcp.recv(100) == b"one\n"
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.wait_for(1)


def test_the_target_changes(server: LabServer) -> None:
    """Without a target, or one that nobody listens on, connections end; a later one is served."""
    with Relay() as relay:
        with _connect(relay) as tcp:
            assert tcp.recv(100) == b""
        relay.target = "127.0.0.1", 1
        with _connect(relay) as tcp:
            assert tcp.recv(100) == b""
        relay.target = server.address, server.port
        with _connect(relay) as tcp:
            tcp.sendall(b"one\n")
            assert tcp.recv(100) == b"one\n"


def test_closing_drops_what_is_open(server: LabServer) -> None:
    """After `close` nobody listens and open connections have ended."""
    relay = Relay()
    relay.target = server.address, server.port
    with _connect(relay) as tcp:
        tcp.sendall(b"one\n")
        assert tcp.recv(100) == b"one\n"
        relay.close()
        assert tcp.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        _connect(relay)


def test_a_port_that_is_taken(server: LabServer) -> None:
    """A port that cannot be listened on is an error at once."""
    with pytest.raises(OSError, match="in use"):
        Relay(port=server.port)


def test_closing_at_once() -> None:
    """A relay that is closed before it has begun leaves nothing open."""
    for _ in range(20):
        Relay().close()
