import socket
import ssl
import struct

import pytest

from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_stream import RecordFraming

ALERT = bytes.fromhex("15030300020228")
HANDSHAKE = b"\x16\x03\x01" + (5000).to_bytes(2) + bytes(5000)
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.fixture(scope="module")
def root() -> Authority:
    """The anchor that clients trust."""
    return Authority.new("Lab Root")


def connect(server: LabServer) -> socket.socket:
    """Connect without TLS."""
    return socket.create_connection((server.address, server.port), timeout=5)


@pytest.mark.parametrize("step", [1, 3, 4096, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (HANDSHAKE + ALERT, b""),
        (HANDSHAKE + ALERT + REQUEST, REQUEST),
        (REQUEST + ALERT, REQUEST + ALERT),
        (ALERT + b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\xff\xff"),
        (ALERT + b"\x17junk", b"\x17junk"),
    ],
)
def test_bytes_outside_of_records_are_found(step: int, stream: bytes, expected: bytes) -> None:
    """However the stream is cut, all that follows the last whole record is found."""
    framing = RecordFraming()
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]

    assert expected == b"".join(framing.outside(piece) for piece in pieces)


def test_plain_text_behind_a_failed_handshake_is_seen(root: Authority) -> None:
    """A client that refuses the certificate and sends its request in the clear is found out."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=Authority.new("Other").pem)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with LabServer(root.issue("localhost")) as server, connect(server) as client:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.sendall(outgoing.read())
        incoming.write(client.recv(65536))
        with pytest.raises(ssl.SSLCertVerificationError):
            tls.do_handshake()
        client.sendall(outgoing.read() + REQUEST)
        client.close()
        (seen,) = server.wait_for(1)

    assert not seen.handshake_completed
    assert (0, REQUEST) == (seen.application_bytes, seen.received_plain)


def test_plain_text_behind_a_good_bye_is_seen(root: Authority) -> None:
    """What follows in the clear when TLS was shut down properly is noted apart from the rest."""
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost")) as server:
        with context.wrap_socket(connect(server), server_hostname="localhost") as client:
            client.sendall(REQUEST)
            client.recv(65536)
            with client.unwrap() as plain:
                plain.sendall(b"in the clear")
        (seen,) = server.wait_for(1)

    assert (REQUEST, b"in the clear") == (seen.received, seen.received_plain)
    assert seen.error is None


def test_bytes_sent_just_before_a_reset_are_seen(root: Authority) -> None:
    """A client that sends and resets at once, so that answering fails, cannot hide what it sent."""
    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost")) as server:
        for _ in range(20):
            with context.wrap_socket(connect(server), server_hostname="localhost") as client:
                # Without it the request would wait for an ACK, and the reset would throw it away.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(REQUEST)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        seen = server.wait_for(20)

    assert [REQUEST] * 20 == [connection.received for connection in seen]


def test_what_comes_after_the_servers_good_bye_is_seen(root: Authority) -> None:
    """Application bytes count also when the server has already finished."""

    async def finish_at_once(stream: ServerStream) -> None:
        await stream.write(b"bye")

    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), dialogue=finish_at_once) as server:
        with context.wrap_socket(connect(server), server_hostname="localhost") as client:
            assert b"bye" == client.recv(10)
            assert b"" == client.recv(10)
            client.sendall(b"too late")
        (seen,) = server.wait_for(1)

    assert b"too late" == seen.received


def test_what_waits_behind_the_last_record_read_is_seen(root: Authority) -> None:
    """A dialogue that ends early leaves nothing uncounted of what has already arrived."""

    async def read_one_record(stream: ServerStream) -> None:
        await stream.read()

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=root.pem)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with (
        LabServer(root.issue("localhost"), dialogue=read_one_record) as server,
        connect(server) as client,
    ):
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.sendall(outgoing.read())
        incoming.write(client.recv(65536))
        tls.do_handshake()
        tls.write(b"one,")
        tls.write(b"two")
        client.sendall(outgoing.read())
        client.shutdown(socket.SHUT_WR)
        (seen,) = server.wait_for(1)

    assert b"one,two" == seen.received


def test_large_answers_arrive_whole(root: Authority) -> None:
    """An answer of many records gets through to a client that reads slowly."""

    async def pour(stream: ServerStream) -> None:
        await stream.write(b"x" * 3_000_000)

    context = ssl.create_default_context(cadata=root.pem)
    with (
        LabServer(root.issue("localhost"), dialogue=pour, linger=5) as server,
        context.wrap_socket(connect(server), server_hostname="localhost") as client,
    ):
        received = 0
        while data := client.recv(10_000):
            received += len(data)

    assert 3_000_000 == received


def test_a_handshake_behind_what_was_read_is_not_lost(root: Authority) -> None:
    """A client may begin TLS in the same packet as its request for it, as PyMySQL does."""

    async def begin(stream: ServerStream) -> None:
        assert b"TLS!" == await stream.read(4)
        await stream.start_tls()
        await stream.write(await stream.read())

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=root.pem)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with LabServer(root.issue("localhost"), starttls=begin) as server, connect(server) as client:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.sendall(b"TLS!" + outgoing.read())
        incoming.write(client.recv(65536))
        tls.do_handshake()
        client.sendall(outgoing.read())
        client.close()
        (seen,) = server.wait_for(1)

    assert seen.handshake_completed
    assert b"TLS!" == seen.received_plain


def test_an_endless_line_is_an_error_in_the_log() -> None:
    """A client that never ends its line is not listened to for ever."""
    with LabServer(None) as server, connect(server) as client:
        client.sendall(b"x" * 200_000)
        client.shutdown(socket.SHUT_WR)
        (seen,) = server.wait_for(1)

    assert seen.error is not None
    assert "a line of more than" in seen.error


def test_a_last_line_without_an_end_is_read() -> None:
    """Where the client stops in mid-line, the dialogue gets what there is."""
    with LabServer(None, redirects={}) as server:
        with connect(server) as client:
            client.sendall(b"GET / HTTP/1.0")
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(65536)
        (seen,) = server.wait_for(1)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert ("GET / HTTP/1.0",) == seen.requests


def test_start_tls_without_an_identity_is_refused() -> None:
    """A dialogue cannot go over to TLS on a server that has none."""

    async def try_tls(stream: ServerStream) -> None:
        await stream.start_tls()

    with LabServer(None, dialogue=try_tls) as server:
        connect(server).close()
        (seen,) = server.wait_for(1)

    assert seen.error is not None
    assert "no identity" in seen.error


def test_a_dialogue_can_answer_a_handshake_by_itself(root: Authority) -> None:
    """Records are no plain text when the dialogue expects them; what is outside of them is."""

    async def listen(stream: ServerStream) -> None:
        stream.expect_records()
        while await stream.read():
            pass

    with (
        LabServer(root.issue("localhost"), starttls=listen) as server,
        connect(server) as client,
    ):
        client.sendall(HANDSHAKE + ALERT + REQUEST)
        client.shutdown(socket.SHUT_WR)
        (seen,) = server.wait_for(1)

    assert REQUEST == seen.received_plain
    assert 0 == seen.application_bytes


def test_a_dialogue_can_reset_the_connection(root: Authority) -> None:
    """The client sees a reset, not an end, and the connection is closed in the log."""

    async def reset(stream: ServerStream) -> None:
        await stream.read()
        stream.reset()

    with (
        LabServer(root.issue("localhost"), starttls=reset) as server,
        connect(server) as client,
    ):
        client.sendall(ALERT)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        (seen,) = server.wait_for(1)

    assert seen.error is None


def test_records_are_kept_within_bounds() -> None:
    """Type and length of each record are there, and a flood of them is not kept."""
    framing = RecordFraming()
    framing.outside(HANDSHAKE + ALERT)

    assert [(22, 5000), (21, 2)] == framing.records
    framing.outside(ALERT * 1000)
    assert len(framing.records) < 1000


@pytest.mark.parametrize("speaks", [True, False])
def test_a_first_byte_tells_tls_from_plain_text(root: Authority, speaks: bool) -> None:
    """A server on both can tell who has come, and nothing is lost by looking."""

    async def talk(stream: ServerStream) -> None:
        if await stream.client_speaks_tls():
            await stream.start_tls()
        await stream.read()
        stream.forget_plain()

    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), starttls=talk) as server:
        with connect(server) as plain:
            client = context.wrap_socket(plain, server_hostname="localhost") if speaks else plain
            with client:
                client.sendall(REQUEST)
                client.recv(65536)
        (seen,) = server.wait_for(1)

    assert (speaks, b"") == (seen.handshake_completed, seen.received_plain)
    assert (REQUEST if speaks else b"") == seen.received


@pytest.mark.parametrize("goes_on", [True, False])
def test_another_entry_begins_with_what_comes_next(root: Authority, goes_on: bool) -> None:
    """What came so far is a prelude; there is no second entry where nothing comes."""

    async def talk(stream: ServerStream) -> None:
        await stream.read()
        stream.begin_entry()
        await stream.write(b"go on")
        await stream.read()

    context = ssl.create_default_context(cadata=root.pem)
    with LabServer(root.issue("localhost"), dialogue=talk) as server:
        with context.wrap_socket(connect(server), server_hostname="localhost") as client:
            client.sendall(b"first")
            client.recv(65536)
            if goes_on:
                client.sendall(b"second")
        log = server.wait_until(lambda seen: all(one.closed for one in seen))

    entries = [(b"first", True), (b"second", False)][: 1 + goes_on]
    assert entries == [(one.received, one.prelude) for one in log]
    assert {(True, "TLSv1.3")} == {(one.handshake_completed, one.version) for one in log}


def test_a_certificate_that_is_asked_for_afterwards(root: Authority) -> None:
    """It comes while the client reads, without any data, and is noted."""
    identity = root.issue("client.example", usage="client")

    async def talk(stream: ServerStream) -> None:
        await stream.ask_for_certificate()
        await stream.read()

    context = ssl.create_default_context(cadata=root.pem)
    context.post_handshake_auth = True
    identity.load_into(context)
    with LabServer(
        root.issue("localhost"), client_anchors=[root], asks_later=True, dialogue=talk
    ) as server:
        with context.wrap_socket(connect(server), server_hostname="localhost") as client:
            server.wait_until(lambda seen: seen[0].handshake_completed)
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            server.wait_until(lambda seen: seen[0].client_certificate is not None)
        (seen,) = server.wait_for(1)

    assert (identity.der, 0) == (seen.client_certificate, seen.application_bytes)


def test_a_certificate_needs_tls(root: Authority) -> None:
    """To ask in the clear is a mistake of the dialogue's."""

    async def talk(stream: ServerStream) -> None:
        await stream.ask_for_certificate()

    with LabServer(root.issue("localhost"), starttls=talk) as server:
        connect(server).close()
        (seen,) = server.wait_for(1)

    assert "no TLS" in (seen.error or "")
