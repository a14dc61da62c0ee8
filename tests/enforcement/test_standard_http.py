import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import pytest
import requests
import urllib3

from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.enforcement.process_wide import begin, uninstall
from holdfast.errors import HostNameError
from holdfast.lab.authorities import Identity
from holdfast.lab.proxy import ConnectProxy
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

Install = Callable[..., None]
PolicyFor = Callable[..., Policy]
Stock = Callable[[], ssl.SSLContext]

REFUSED = [(Outcome.UNDECIDABLE, False)]


class Plain(ThreadingHTTPServer):
    """A server without TLS, and a proxy for plain requests. It remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on loopback."""
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Plain
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain() -> Iterator[Plain]:
    """A server without TLS."""
    with Plain() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _with_http_client(host: str, port: int) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def _with_urllib(host: str, port: int) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host}:{port}/", timeout=5) as answer:
        return bytes(answer.read())


def _with_urllib3(host: str, port: int) -> bytes:
    with urllib3.PoolManager(timeout=5, retries=False) as pools:
        return pools.request("GET", f"http://{host}:{port}/").data


def _with_requests(host: str, port: int) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"http://{host}:{port}/", timeout=5).content


CLIENTS = [_with_http_client, _with_urllib, _with_urllib3, _with_requests]


def _reported(violations: list[Violation]) -> list[tuple[Outcome, bool]]:
    return [(one.verdict.outcome, one.verdict.allowed) for one in violations]


@pytest.mark.threat("T21")
@pytest.mark.parametrize("client", CLIENTS)
def test_no_plain_text_to_an_enforced_host(
    client: Callable[[str, int], bytes],
    installed: Install,
    plain: Plain,
    violations: list[Violation],
) -> None:
    """Whatever is built on http.client, nothing is sent, and it is reported."""
    installed()

    with pytest.raises(Exception, match=r"plain text|refused") as caught:
        client("localhost", plain.server_port)

    assert violation_from(caught.value) is not None
    assert [] == plain.asked
    assert REFUSED == _reported(violations)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("unlisted", list(Unlisted))
def test_other_hosts_may_be_asked_in_the_clear(
    client: Callable[[str, int], bytes],
    installed: Install,
    plain: Plain,
    policy_for: PolicyFor,
    unlisted: Unlisted,
) -> None:
    """As a service beside the program is, whatever becomes of other hosts over TLS."""
    installed(policy_for(unlisted=unlisted))

    assert b"ok" == client("127.0.0.1", plain.server_port)


def test_a_report_only_set_reports(
    installed: Install, plain: Plain, policy_for: PolicyFor, violations: list[Violation]
) -> None:
    """It lets the request pass and says so."""
    installed(policy_for(mode=Mode.REPORT_ONLY))

    assert b"ok" == _with_http_client("localhost", plain.server_port)
    assert [(Outcome.UNDECIDABLE, True)] == _reported(violations)


def test_through_a_proxy(installed: Install, plain: Plain, violations: list[Violation]) -> None:
    """The host of the URL counts, and that of a tunnel without TLS in it, not the proxy's."""
    installed()
    way = f"http://127.0.0.1:{plain.server_port}"
    tunnel = http.client.HTTPConnection("127.0.0.1", plain.server_port, timeout=5)
    tunnel.set_tunnel("localhost", 80)

    with urllib3.ProxyManager(way, timeout=5, retries=False) as proxy:
        assert b"ok" == proxy.request("GET", "http://other.example/").data
        with pytest.raises(urllib3.exceptions.HTTPError, match="plain text"):
            proxy.request("GET", "http://localhost:1/")
    with pytest.raises(PinViolationError):
        tunnel.request("GET", "/")

    assert ["http://other.example/"] == [path for path in plain.asked if path.startswith("http")]
    assert REFUSED * 2 == _reported(violations)


@pytest.mark.parametrize("host", ["localho\u017ft", "127.1"])
def test_a_name_that_is_none(installed: Install, plain: Plain, host: str) -> None:
    """What could be read as a listed host is not asked."""
    installed()
    connection = http.client.HTTPConnection("127.0.0.1", plain.server_port, timeout=5)
    connection.connect()
    connection.host = host

    with pytest.raises(HostNameError):
        connection.request("GET", "/")
    assert [] == plain.asked


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_a_socket_of_this_machine(installed: Install, tmp_path: Path) -> None:
    """A daemon that is asked over a Unix socket is not in the network, whatever its host is."""
    installed()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "daemon"))
    listener.listen()

    def answer() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    thread = threading.Thread(target=answer)
    thread.start()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(tmp_path / "daemon"))
    with connection.sock, listener:
        connection.request("GET", "/")
        assert b"ok" == connection.getresponse().read()
        thread.join()


@pytest.mark.threat("T19", "T20")
@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("http://localhost:{plain}/", Outcome.UNDECIDABLE),
        ("https://127.0.0.1:{tls}/", Outcome.NOT_PINNED),
        ("http://127.0.0.1:{plain}/", Outcome.NOT_PINNED),
    ],
)
def test_urllib_does_not_leave_an_enforced_host(
    installed: Install,
    identity: Identity,
    stock: Stock,
    plain: Plain,
    target: str,
    outcome: Outcome,
    violations: list[Violation],
) -> None:
    """A redirect to plain text, or to a host without pins, is refused before it is followed."""
    with LabServer(identity) as second:
        where = target.format(plain=plain.server_port, tls=second.port)
        with LabServer(identity, redirects={"/": where}) as first:
            installed()
            with pytest.raises((PinViolationError, URLError)) as caught:
                _open(f"https://localhost:{first.port}/", stock())
            assert violation_from(caught.value) is not None

        assert [(outcome, False)] == _reported(violations)
        assert [] == [*plain.asked, *second.connections]


def test_urllib_behind_a_proxy(
    installed: Install,
    identity: Identity,
    stock: Stock,
    plain: Plain,
    violations: list[Violation],
) -> None:
    """Whose redirect it is goes by the URL that was asked for, not by the proxy's."""
    where = f"http://127.0.0.1:{plain.server_port}/"
    with (
        LabServer(identity, redirects={"/": where}) as first,
        ConnectProxy("nobody.example", "") as proxy,
    ):
        installed()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"https": proxy.url}),
            urllib.request.HTTPSHandler(context=stock()),
        )
        with pytest.raises((PinViolationError, URLError)) as caught:
            opener.open(f"https://localhost:{first.port}/", timeout=5)

    assert violation_from(caught.value) is not None
    assert ["localhost"] == [tunnel.host for tunnel in proxy.tunnels]
    assert [(Outcome.NOT_PINNED, False)] == _reported(violations)
    assert [] == plain.asked


def test_what_was_patched_before_still_runs(
    installed: Install, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instrumentation that wraps the same methods goes on seeing requests."""
    seen: list[str] = []
    stock = http.client.HTTPConnection.putrequest

    def traced(self: http.client.HTTPConnection, method: str, url: str, **kwargs: bool) -> None:
        seen.append(url)
        stock(self, method, url, **kwargs)

    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", traced)
    installed()

    assert b"ok" == _with_http_client("127.0.0.1", plain.server_port)
    uninstall()
    assert ["/"] == seen
    assert http.client.HTTPConnection.putrequest is traced


def test_urllib_follows_within_pinned_hosts(
    installed: Install, identity: Identity, stock: Stock
) -> None:
    """A redirect to a host with pins is followed, and so is one from a host without."""
    with (
        LabServer(identity, body=b"arrived") as second,
        LabServer(identity, redirects={"/": f"https://localhost:{second.port}/"}) as first,
    ):
        installed()
        assert b"arrived" == _open(f"https://localhost:{first.port}/", stock())
        assert b"arrived" == _open(f"https://127.0.0.1:{first.port}/", stock())


def test_observing_refuses_nothing(policy: Policy, plain: Plain) -> None:
    """Where it is only looked who is talked to, plain text passes as ever."""
    begin(policy, _Nobody(), observes=True)
    try:
        assert b"ok" == _with_http_client("localhost", plain.server_port)
    finally:
        uninstall()


def test_uninstalling_takes_it_back(installed: Install, plain: Plain) -> None:
    """Afterwards the classes are as they were."""
    before = dict(vars(http.client.HTTPConnection))
    installed()
    assert before != dict(vars(http.client.HTTPConnection))
    uninstall()

    assert before == dict(vars(http.client.HTTPConnection))
    assert b"ok" == _with_urllib("localhost", plain.server_port)


class _Nobody:
    def report(self, violation: Violation) -> None:
        """Take no note."""


def _open(url: str, context: ssl.SSLContext) -> bytes:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(url, timeout=5) as answer:
        return bytes(answer.read())
