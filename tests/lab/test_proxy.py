import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from holdfast.lab.proxy import ConnectProxy
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

HOST = "api.example.com"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
Tunnel = Callable[[str], socket.socket]


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage for the host behind the proxy."""
    return Stage.new(HOST)


@pytest.fixture
def proxy(stage: Stage) -> Iterator[ConnectProxy]:
    """Return a proxy that attacks the host."""
    with ConnectProxy(HOST, stage.rogue.pem) as proxy:
        yield proxy


@pytest.fixture
def tunnel(proxy: ConnectProxy) -> Tunnel:
    """Return a function that asks for a tunnel."""

    def connect(target: str) -> socket.socket:
        tcp = socket.create_connection((proxy.address, proxy.port), timeout=5)
        tcp.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert tcp.recv(1000).startswith(b"HTTP/1.1 200 ")
        return tcp

    return connect


@pytest.fixture(params=VERSIONS, ids=str)
def server(request: pytest.FixtureRequest, stage: Stage) -> Iterator[LabServer]:
    """Return a server with the host's name, on each version of TLS."""
    with LabServer(
        stage.server, minimum_version=request.param, maximum_version=request.param
    ) as server:
        yield server


def _context(stage: Stage) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=stage.anchors_pem)


@pytest.mark.parametrize("host", [HOST, "API.example.com", f"{HOST}."])
def test_tunnels_to_the_host_lead_elsewhere(
    host: str, stage: Stage, proxy: ConnectProxy, tunnel: Tunnel, server: LabServer
) -> None:
    """However the name is written, the tunnel ends at the target, and data in it is recognized."""
    proxy.target = server.address, server.port
    with _context(stage).wrap_socket(tunnel(f"{host}:443"), server_hostname=HOST) as tls:
        tls.sendall(REQUEST)
        assert tls.recv(1000).startswith(b"HTTP/1.1 200")
    server.wait_for(1)
    (seen,) = proxy.to_host()

    assert (host, 443, True) == (seen.host, seen.port, seen.carried_data)
    assert server.application_bytes == len(REQUEST)


@pytest.mark.parametrize("ending", ["refuses in the handshake", "refuses after it"])
def test_a_refusal_carries_no_data(
    ending: str, stage: Stage, proxy: ConnectProxy, tunnel: Tunnel, server: LabServer
) -> None:
    """Neither an alert in the handshake nor a good-bye right behind it looks like a request."""
    proxy.target = server.address, server.port
    trusting = _context(stage)
    if ending == "refuses in the handshake":
        trusting = ssl.create_default_context(cadata=Stage.new().anchors_pem)
        with pytest.raises(ssl.SSLCertVerificationError):
            trusting.wrap_socket(tunnel(f"{HOST}:443"), server_hostname=HOST)
    else:
        with trusting.wrap_socket(tunnel(f"{HOST}:443"), server_hostname=HOST) as tls:
            tls.unwrap()
    server.wait_for(1)

    assert [False] == [one.carried_data for one in proxy.to_host()]


def test_other_tunnels_are_untouched(
    stage: Stage, proxy: ConnectProxy, tunnel: Tunnel, server: LabServer
) -> None:
    """A tunnel to another host goes where the client wants, whatever the target is."""
    proxy.target = "127.0.0.1", 1
    with tunnel(f"localhost:{server.port}") as tcp:
        tcp.sendall(b"not TLS")
        tcp.shutdown(socket.SHUT_WR)
        server.wait_for(1)

    assert [] == list(proxy.to_host())
    assert ["localhost"] == [one.host for one in proxy.tunnels]
    proxy.forget()
    assert [] == proxy.tunnels


def test_the_authority_can_be_fetched(stage: Stage, proxy: ConnectProxy) -> None:
    """Whoever opens the proxy's own address gets the attacker's CA to install."""
    with urllib.request.urlopen(f"{proxy.url}/", timeout=5) as response:
        assert response.headers["content-type"] == "application/x-x509-ca-cert"
        assert stage.rogue.pem == response.read().decode()


def test_requests_in_the_clear_are_noted(proxy: ConnectProxy) -> None:
    """A request for http:// is refused; that of the host under attack is evidence."""
    for host in (HOST, "elsewhere.example"):
        with socket.create_connection((proxy.address, proxy.port), timeout=5) as tcp:
            tcp.sendall(f"GET http://{host}/secret HTTP/1.1\r\n\r\n".encode())
            assert tcp.recv(1000).startswith(b"HTTP/1.1 403")

    assert [f"GET http://{HOST}/secret HTTP/1.1"] == proxy.in_the_clear


@pytest.mark.parametrize("line", [b"CONNECT nowhere HTTP/1.1\r\n\r\n", b"\r\n\r\n"])
def test_nonsense_is_refused(line: bytes, proxy: ConnectProxy) -> None:
    """What is no request for a tunnel gets none, and the proxy goes on."""
    for _ in range(2):
        with socket.create_connection((proxy.address, proxy.port), timeout=5) as tcp:
            tcp.sendall(line)
            assert b" 200 Connection" not in tcp.recv(1000)

    assert [] == proxy.tunnels
