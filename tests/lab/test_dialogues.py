import http.client
import imaplib
import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest

from holdfast.lab.authorities import Authority
from holdfast.lab.dialogues import imap_in_the_clear, lead_on
from holdfast.lab.relay import Relay
from holdfast.lab.server import LabServer, ServerStream


@pytest.fixture(scope="module")
def root() -> Authority:
    """The anchor that clients trust."""
    return Authority.new("Lab Root")


@pytest.fixture
def web() -> Iterator[tuple[LabServer, http.client.HTTPConnection]]:
    """A plain HTTP server with a redirect, and a client connected to it."""
    with LabServer(None, body=b"hello", redirects={"/old": "https://localhost/new"}) as server:
        client = http.client.HTTPConnection(server.host, server.port, timeout=5)
        yield server, client
        client.close()


def test_http_serves_several_requests_on_one_connection(
    web: tuple[LabServer, http.client.HTTPConnection],
) -> None:
    """GET, HEAD and POST are answered one after the other, and all are logged."""
    server, client = web
    answers = []
    for method, content in (("GET", None), ("HEAD", None), ("POST", b"x" * 200_000), ("GET", None)):
        client.request(method, "/path", content)
        response = client.getresponse()
        answers.append((response.status, response.read()))
    client.close()

    (seen,) = server.wait_for(1)

    assert [(200, b"hello"), (200, b""), (200, b"hello"), (200, b"hello")] == answers
    assert [f"{method} /path HTTP/1.1" for method in ("GET", "HEAD", "POST", "GET")] == [
        *seen.requests
    ]
    assert seen.application_bytes > 200_000


def test_http_redirects_where_told(web: tuple[LabServer, http.client.HTTPConnection]) -> None:
    """A path with a redirect is answered with 307, so that a client keeps method and body."""
    _, client = web
    client.request("POST", "/old", b"secret")
    response = client.getresponse()

    assert (307, "https://localhost/new") == (response.status, response.getheader("location"))


def test_http_closes_when_the_client_asks_for_it(
    web: tuple[LabServer, http.client.HTTPConnection],
) -> None:
    """`Connection: close` ends the connection from the server's side."""
    server, client = web
    client.request("GET", "/", headers={"Connection": "close"})
    client.getresponse().read()

    (seen,) = server.wait_for(1)

    assert seen.error is None


def test_http_refuses_a_body_of_unknown_length(
    web: tuple[LabServer, http.client.HTTPConnection],
) -> None:
    """A chunked body is refused rather than taken for further requests."""
    server, client = web
    client.request("POST", "/", iter([b"chunk"]), encode_chunked=True)

    assert 411 == client.getresponse().status
    client.close()
    assert ("POST / HTTP/1.1",) == server.wait_for(1)[0].requests


def test_smtp_goes_over_to_tls(root: Authority) -> None:
    """After STARTTLS the same dialogue goes on, and only that counts as application bytes."""
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), starttls="smtp") as server:
        with smtplib.SMTP(server.host, server.port, local_hostname="client", timeout=5) as client:
            client.starttls(context=context)
            client.ehlo()
            again = client.docmd("STARTTLS")
            client.noop()
        (seen,) = server.wait_for(1)

    assert 502 == again[0]
    assert seen.handshake_completed
    assert b"ehlo client\r\nSTARTTLS\r\n" == seen.received_plain
    assert b"ehlo client\r\nSTARTTLS\r\nnoop\r\nQUIT\r\n".lower() == seen.received.lower()
    assert ["ehlo client", "starttls", "ehlo client", "starttls", "noop", "quit"] == [
        request.lower() for request in seen.requests
    ]


def test_smtp_client_that_distrusts_leaves_nothing(root: Authority) -> None:
    """A client that refuses in the STARTTLS handshake has sent no application byte."""
    stranger = Authority.new("Stranger").issue("localhost")
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(stranger, starttls="smtp") as server:
        client = smtplib.SMTP(server.host, server.port, timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=context)
        client.close()
        (seen,) = server.wait_for(1)

    assert not seen.handshake_completed
    assert 0 == seen.application_bytes


def test_smtp_drops_what_was_sent_along_with_starttls(root: Authority) -> None:
    """A command put behind STARTTLS in the clear is not carried into the encrypted dialogue."""
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), starttls="smtp") as server:
        with socket.create_connection((server.address, server.port), timeout=5) as plain:
            assert plain.recv(100).startswith(b"220 ")
            plain.sendall(b"STARTTLS\r\nRSET\r\n")
            assert plain.recv(100).startswith(b"220 ")
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"QUIT\r\n")
                assert client.recv(100).startswith(b"221 ")
        (seen,) = server.wait_for(1)

    assert ("STARTTLS", "QUIT") == seen.requests


def test_a_client_is_led_on() -> None:
    """Each stop does its thing before it sends the client on; only the last request counts."""
    done: list[str] = []
    stops = [lambda: done.append("first"), lambda: done.append("second")]
    locations = []
    with LabServer(None, dialogue=lead_on("elsewhere", stops)) as server:
        for path in ("/", "/1", "/2"):
            client = http.client.HTTPConnection(server.host, server.port, timeout=5)
            client.request("GET", path)
            response = client.getresponse()
            response.read()
            locations.append((list(done), response.getheader("location")))
            client.close()
        seen = server.wait_for(3)

    assert [
        (["first"], "/1"),
        (["first", "second"], f"https://elsewhere:{server.port}/2"),
        (["first", "second"], None),
    ] == locations
    assert [True, True, False] == [one.prelude for one in seen]


def test_who_is_led_on_has_to_connect_anew() -> None:
    """The connection on which a client is sent on is closed by the server."""
    with (
        LabServer(None, dialogue=lead_on("elsewhere")) as server,
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
    ):
        tcp.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b""
        while data := tcp.recv(65536):
            answer += data

    assert b"connection: close" in answer


def test_a_client_behind_a_relay_is_led_back_to_it() -> None:
    """The port of the location is the one that the client asked for, not the server's own."""
    with (
        LabServer(None, dialogue=lead_on("elsewhere")) as server,
        Relay() as relay,
    ):
        relay.target = server.address, server.port
        client = http.client.HTTPConnection(relay.address, relay.port, timeout=5)
        client.request("GET", "/")
        response = client.getresponse()
        client.close()

    assert f"https://elsewhere:{relay.port}/1" == response.getheader("location")


def test_imap_goes_over_to_tls(root: Authority) -> None:
    """After STARTTLS the same dialogue goes on, and offers it no more."""
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), starttls="imap") as server:
        with imaplib.IMAP4(server.host, server.port, timeout=5) as client:
            offered = client.capabilities
            client.starttls(context)
            offered_later = client.capabilities
            client.noop()
            with pytest.raises(imaplib.IMAP4.error, match="not here"):
                client.login("user", "secret")
        (seen,) = server.wait_for(1)

    assert ("STARTTLS" in offered, "STARTTLS" in offered_later) == (True, False)
    assert seen.handshake_completed
    assert b"LOGIN" not in seen.received_plain
    assert ["CAPABILITY", "STARTTLS", "CAPABILITY", "NOOP", "LOGIN", "LOGOUT"] == [
        request.split()[1] for request in seen.requests
    ]


def test_imap_in_the_clear(root: Authority) -> None:
    """Without STARTTLS everything else is welcome: the control can fail."""

    async def talk(stream: ServerStream) -> None:
        await imap_in_the_clear(stream, b"* OK lab\r\n")

    with LabServer(root.issue("localhost"), starttls=talk) as server:
        with imaplib.IMAP4(server.host, server.port, timeout=5) as client:
            client.login("user", "secret")
        (seen,) = server.wait_for(1)

    assert b"LOGIN user" in seen.received_plain
