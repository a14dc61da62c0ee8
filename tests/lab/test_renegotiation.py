import socket
import ssl
import sys
from collections.abc import Iterator

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.renegotiation import renegotiating_server
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage of which nothing is changed."""
    return Stage.new()


@pytest.fixture
def server(stage: Stage) -> Iterator[LabServer]:
    """Return a server that begins with the pinned key."""
    with renegotiating_server(stage.server, stage.rogue.issue(stage.host)) as server:
        yield server


def _connect(server: LabServer, context: ssl.SSLContext) -> ssl.SSLSocket:
    tcp = socket.create_connection((server.address, server.port), timeout=5)
    return context.wrap_socket(tcp, server_hostname="localhost")


def test_an_ordinary_client_goes_over_to_the_other_key(stage: Stage, server: LabServer) -> None:
    """The second handshake shows another leaf, and the next request is the attacker's to read."""
    with _connect(server, ssl.create_default_context(cadata=stage.anchors_pem)) as tls:
        first = tls.getpeercert(binary_form=True)
        tls.sendall(REQUEST % b"/")
        assert b"location: /again" in tls.recv(65536)
        second = tls.getpeercert(binary_form=True)
        tls.sendall(REQUEST % b"/again")
        assert tls.recv(65536).endswith(b"rogue\n")
    honest, rogue = server.wait_for(2)

    assert stage.server.der == first
    assert second not in {None, first}
    assert (True, "TLSv1.2", "localhost") == (honest.prelude, honest.version, honest.server_name)
    assert (False, True) == (rogue.prelude, rogue.handshake_completed)
    assert rogue.received == REQUEST % b"/again"


def test_a_client_that_does_not_renegotiate(stage: Stage, server: LabServer) -> None:
    """The second handshake fails, nothing more is said, and the log has why."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    context.options |= ssl.OP_NO_RENEGOTIATION
    with _connect(server, context) as tls:
        tls.sendall(REQUEST % b"/")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            tls.recv(65536)
    _, rogue = server.wait_for(2)

    assert (False, 0) == (rogue.handshake_completed, rogue.application_bytes)
    assert "renegotiation" in str(rogue.error)


def test_later_connections_are_the_attackers(stage: Stage, server: LabServer) -> None:
    """Whoever comes again is shown the second key at once."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    with _connect(server, context) as tls:
        tls.sendall(REQUEST % b"/")
    with _connect(server, context) as tls:
        again = tls.getpeercert(binary_form=True)
        tls.sendall(REQUEST % b"/again")
        assert tls.recv(65536).endswith(b"rogue\n")

    assert stage.server.der != again


def test_without_pyopenssl(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyOpenSSL is missing, the extra that brings it is named."""
    monkeypatch.setitem(sys.modules, "OpenSSL", None)

    with pytest.raises(HoldfastError, match=r"holdfast\[lab\]"):
        renegotiating_server(stage.server, stage.server)
