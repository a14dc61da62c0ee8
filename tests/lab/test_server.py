import asyncio
import gc
import logging
import socket
import ssl
import threading
import urllib.request
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from holdfast.lab.authorities import Authority, Identity, new_key
from holdfast.lab.server import Connection, LabServer, ServerStream

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
DESCRIPTORS = Path("/proc/self/fd")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def root() -> Authority:
    """The anchor that clients trust."""
    return Authority.new("Lab Root")


@pytest.fixture(scope="module")
def identity(root: Authority) -> Identity:
    """A server identity with an intermediate, as in the wild."""
    return root.intermediate("Lab Intermediate").issue("localhost", "127.0.0.1", "::1")


@pytest.fixture
def context(root: Authority) -> ssl.SSLContext:
    """What an ordinary client verifies with."""
    return ssl.create_default_context(cadata=root.pem)


def exchange(
    server: LabServer, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[bytes | None, ssl.SSLSession | None]:
    """Send one request and return the leaf and the session."""
    with (
        socket.create_connection((server.address, server.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=server.host, session=session) as client,
    ):
        client.sendall(REQUEST)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
        return client.getpeercert(binary_form=True), client.session


@pytest.mark.parametrize("version", VERSIONS)
def test_the_log_holds_what_the_server_saw(
    identity: Identity, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """Name, version and every application byte of a good connection are recorded."""
    with LabServer(identity, minimum_version=version, maximum_version=version) as server:
        exchange(server, context)
        (seen,) = server.wait_for(1)

    expected = Connection(
        handshake_completed=True,
        server_name="localhost",
        version={VERSIONS[0]: "TLSv1.2", VERSIONS[1]: "TLSv1.3"}[version],
        application_bytes=len(REQUEST),
        received=REQUEST,
        requests=("GET / HTTP/1.1",),
        closed=True,
    )
    assert expected == seen
    assert len(REQUEST) == server.application_bytes


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_distrusts_leaves_no_application_byte(
    identity: Identity, version: ssl.TLSVersion
) -> None:
    """A refused handshake is in the log with its reason, and nothing got through."""
    stranger = ssl.create_default_context(cadata=Authority.new("Other Root").pem)
    with LabServer(identity, minimum_version=version, maximum_version=version) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            exchange(server, stranger)
        (seen,) = server.wait_for(1)

    assert (False, "localhost", 0) == (
        seen.handshake_completed,
        seen.server_name,
        seen.application_bytes + seen.plain_bytes,
    )
    assert seen.error is not None
    assert "UNKNOWN_CA" in seen.error.upper()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("required", [True, False])
def test_client_certificates_are_asked_for_and_recorded(
    root: Authority,
    identity: Identity,
    context: ssl.SSLContext,
    version: ssl.TLSVersion,
    required: bool,
) -> None:
    """The log has the certificate that a client showed, and shows who came without."""
    client = root.issue(common_name="a client", usage="client")
    with LabServer(
        identity,
        minimum_version=version,
        maximum_version=version,
        client_anchors=[root],
        require_client_certificate=required,
    ) as server:
        if required:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                exchange(server, context)
        else:
            exchange(server, context)
        server.wait_for(1)
        client.load_into(context)
        exchange(server, context)
        without, with_certificate = server.wait_for(2)

    assert required != without.handshake_completed
    assert without.client_certificate is None
    assert client.der == with_certificate.client_certificate


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed_until_the_identity_changes(
    root: Authority, identity: Identity, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """A session resumes on both TLS versions, and no longer after a switch."""
    with LabServer(identity, minimum_version=version, maximum_version=version) as server:
        _, session = exchange(server, context)
        exchange(server, context, session)
        server.switch(root.issue("localhost"))
        exchange(server, context, session)
        seen = server.wait_for(3)

    assert [False, True, False] == [connection.resumed for connection in seen]
    assert {"localhost"} == {connection.server_name for connection in seen}


def test_a_switch_shows_at_the_next_handshake(
    root: Authority, identity: Identity, context: ssl.SSLContext
) -> None:
    """A renewal reaches new connections at once, while an old one goes on under its own."""
    renewed = root.issue("localhost", key=identity.key)
    other_key = root.issue("localhost", key=new_key("rsa"))
    with (
        LabServer(identity) as server,
        socket.create_connection((server.address, server.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as earlier,
    ):
        server.switch(renewed)
        first, _ = exchange(server, context)
        server.switch(other_key)
        second, _ = exchange(server, context)
        earlier.sendall(REQUEST)
        assert earlier.recv(65536).startswith(b"HTTP/1.1 200 OK")

    assert [renewed.der, other_key.der] == [first, second]


def test_the_url_is_all_a_client_needs(identity: Identity, context: ssl.SSLContext) -> None:
    """`url` names scheme, host and port, also for a bare IPv6 address."""
    with LabServer(identity, name="::1", address="::1", body=b"six") as server:
        assert f"https://[::1]:{server.port}" == server.url
        with urllib.request.urlopen(server.url, context=context) as response:
            assert b"six" == response.read()


def test_without_an_identity_the_server_speaks_in_the_clear() -> None:
    """A plain HTTP server counts what it gets as application bytes."""
    with LabServer(None, body=b"plain") as server:
        with urllib.request.urlopen(server.url) as response:
            assert b"plain" == response.read()
        (seen,) = server.wait_for(1)

    assert server.url.startswith("http://localhost:")
    assert not seen.handshake_completed
    assert seen.application_bytes == seen.plain_bytes > 0


def test_a_dialogue_of_your_own_may_speak_first(
    identity: Identity, context: ssl.SSLContext
) -> None:
    """Other protocols need no more than a coroutine function over the stream."""

    async def greet(stream: ServerStream) -> None:
        await stream.write(b"hello, who is there?\n")
        stream.record.add_request((await stream.read_line()).decode())

    with LabServer(identity, dialogue=greet) as server:
        with (
            socket.create_connection((server.address, server.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            assert b"hello, who is there?\n" == client.recv(100)
            client.sendall(b"me\n")
        (seen,) = server.wait_for(1)

    assert ("me\n",) == seen.requests


def test_a_starttls_dialogue_of_your_own_begins_in_the_clear(
    identity: Identity, context: ssl.SSLContext
) -> None:
    """Protocols with another STARTTLS say themselves when TLS begins."""

    async def upgrade(stream: ServerStream) -> None:
        assert b"upgrade\n" == await stream.read_line()
        await stream.write(b"go ahead\n")
        await stream.start_tls()
        await stream.write(await stream.read_line())

    with LabServer(identity, starttls=upgrade) as server:
        with socket.create_connection((server.address, server.port), timeout=5) as plain:
            plain.sendall(b"upgrade\n")
            assert b"go ahead\n" == plain.recv(100)
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"echo\n")
                assert b"echo\n" == client.recv(100)
        (seen,) = server.wait_for(1)

    assert (b"upgrade\n", b"echo\n") == (seen.received_plain, seen.received)


async def http2_dialogue(stream: ServerStream) -> None:
    """Answer every HTTP/2 request with 200."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    await stream.write(connection.data_to_send())
    while data := await stream.read():
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, [(":status", "200")])
                connection.send_data(event.stream_id, b"two", end_stream=True)
        await stream.write(connection.data_to_send())


def test_http2_fits_in_as_a_dialogue(identity: Identity, context: ssl.SSLContext) -> None:
    """ALPN and a dialogue make an HTTP/2 server."""
    with LabServer(identity, alpn=["h2"], dialogue=http2_dialogue) as server:
        with httpx.Client(verify=context, http2=True, trust_env=False) as client:
            response = client.get(server.url)
        (seen,) = server.wait_for(1)

    assert ("HTTP/2", b"two") == (response.http_version, response.content)
    assert "h2" == seen.alpn


async def test_async_clients_can_wait_in_a_thread(
    identity: Identity, context: ssl.SSLContext
) -> None:
    """A client on an event loop of its own is served and logged like a blocking one."""
    with LabServer(identity) as server:
        reader, writer = await asyncio.open_connection(
            server.address, server.port, ssl=context, server_hostname=server.host
        )
        writer.write(REQUEST)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        await writer.wait_closed()
        (seen,) = await asyncio.to_thread(server.wait_for, 1)

    assert len(REQUEST) == seen.application_bytes


def test_a_client_that_stops_in_the_handshake_is_given_up(identity: Identity) -> None:
    """The handshake has a deadline, and passing it is in the log."""
    with (
        LabServer(identity, handshake_timeout=0.05, linger=0.05) as server,
        socket.create_connection((server.address, server.port)),
    ):
        (seen,) = server.wait_for(1)

    assert (False, "TimeoutError()") == (seen.handshake_completed, seen.error)


def test_close_drops_open_connections(identity: Identity, context: ssl.SSLContext) -> None:
    """Closing does not wait for clients, in mid-handshake or after, and completes the log."""
    with LabServer(identity, handshake_timeout=600, linger=600) as server:
        halfway = socket.create_connection((server.address, server.port), timeout=5)
        plain = socket.create_connection((server.address, server.port), timeout=5)
        idle = context.wrap_socket(plain, server_hostname="localhost")
        server.wait_until(lambda seen: [False, True] == [one.handshake_completed for one in seen])

    with halfway, idle:
        assert [True, True] == [connection.closed for connection in server.connections]
        assert server.wait_for(2) == server.connections
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.address, server.port))


def test_waiting_for_a_connection_that_never_comes_ends(identity: Identity) -> None:
    """A test that waits in vain fails instead of hanging."""
    with LabServer(identity) as server, pytest.raises(TimeoutError):
        server.wait_for(1, timeout=0.01)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
def test_nothing_is_left_behind(identity: Identity, context: ssl.SSLContext) -> None:
    """Threads and descriptors are as before, whatever state the connections were in."""
    gc.collect()
    before = (threading.active_count(), len(list(DESCRIPTORS.iterdir())))
    for _ in range(10):
        with LabServer(identity) as server:
            exchange(server, context)
            with socket.create_connection((server.address, server.port)):
                server.switch(identity)
    with LabServer(identity):
        pass
    gc.collect()

    assert before == (threading.active_count(), len(list(DESCRIPTORS.iterdir())))


def test_failed_handshakes_make_no_noise(
    identity: Identity, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a client does wrong is in the log of the server and nowhere else."""
    with caplog.at_level(logging.DEBUG), LabServer(identity) as server:
        with socket.create_connection((server.address, server.port)) as client:
            client.sendall(REQUEST)
        (seen,) = server.wait_for(1)

    assert REQUEST == seen.received_plain
    assert [] == [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert ("", "") == capfd.readouterr()


def test_options_that_contradict_each_other_are_refused(identity: Identity) -> None:
    """Each mistake is told before the server starts."""

    async def silence(stream: ServerStream) -> None:
        await stream.read()

    with pytest.raises(ValueError, match="starttls needs an identity"):
        LabServer(None, starttls="smtp")
    with pytest.raises(ValueError, match="pass only one of two"):
        LabServer(identity, starttls="smtp", dialogue=silence)
    with pytest.raises(ValueError, match=r"loopback only, not on 0\.0\.0\.0"):
        LabServer(identity, address="0.0.0.0")
    with pytest.raises(ValueError, match="no identity to switch"):
        LabServer(None).switch(identity)


def test_a_server_starts_once(identity: Identity) -> None:
    """The port exists from `start` on, and a second `start` is refused."""
    server = LabServer(identity)
    with pytest.raises(RuntimeError, match="no port before it is started"):
        _ = server.port
    with server, pytest.raises(RuntimeError, match="starts once"):
        server.start()
    server.close()
