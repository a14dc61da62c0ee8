import io
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ClassVar

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.gate import Gate
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer, ServerStream

NOTHING = (0, 0)
SECRET = b"GET /secret HTTP/1.1\r\n\r\n"

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Connect = Callable[..., ssl.SSLSocket]
Received = Callable[[LabServer], tuple[int, int]]


def _stock_handshake_and_send(tls: ssl.SSLSocket) -> int:
    ssl.SSLSocket.do_handshake(tls)
    return ssl.SSLSocket.send(tls, SECRET)


USES: dict[str, Callable[[ssl.SSLSocket], object]] = {
    "send": lambda tls: tls.send(SECRET),
    "sendall": lambda tls: tls.sendall(SECRET),
    "sendto": lambda tls: tls.sendto(SECRET, ("127.0.0.1", 1)),
    "sendfile": lambda tls: tls.sendfile(io.BytesIO(SECRET)),
    "write": lambda tls: tls.write(SECRET),
    "recv": lambda tls: tls.recv(100),
    "recv_into": lambda tls: tls.recv_into(bytearray(100)),
    "recvfrom": lambda tls: tls.recvfrom(100),
    "recvfrom_into": lambda tls: tls.recvfrom_into(bytearray(100)),
    "read": lambda tls: tls.read(100),
    "unwrap": lambda tls: tls.unwrap(),
    "makefile": lambda tls: tls.makefile("rb").read(1),
    "makefile, writing": lambda tls: tls.makefile("wb", buffering=0).write(SECRET),
    "verify_client_post_handshake": lambda tls: tls.verify_client_post_handshake(),
    # Past the gated methods, to what stands under them.
    "stock send": lambda tls: ssl.SSLSocket.send(tls, SECRET),
    "stock read": lambda tls: ssl.SSLSocket.read(tls, 100),
    "stock unwrap": ssl.SSLSocket.unwrap,
    "stock handshake and send": _stock_handshake_and_send,
}
either_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


async def speak_first(stream: ServerStream) -> None:
    """Say something at once, then listen."""
    await stream.write(b"220 welcome\r\n")
    while await stream.read():
        pass


@pytest.mark.threat("T32")
@either_use
def test_an_implicit_handshake_is_judged(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    connect: Connect,
    received: Received,
    use: Callable[[ssl.SSLSocket], object],
) -> None:
    """Without a handshake on connect, the first use does it, and nothing passes before a verdict.

    Not even what the server says with its Finished is handed out.
    """
    server = start(impostor, partial(LabServer, dialogue=speak_first))
    tls = connect(server, pinned(), do_handshake_on_connect=False)

    with pytest.raises(PinViolationError):
        use(tls)
    with pytest.raises(PinViolationError):
        use(tls)

    assert NOTHING == received(server)


@either_use
def test_nothing_passes_after_a_failed_connect(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    received: Received,
    use: Callable[[ssl.SSLSocket], object],
) -> None:
    """When connect() refuses, Python drops the TLS layer; no plain text follows."""
    server = start(impostor)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        with pytest.raises(PinViolationError):
            tls.connect((server.address, server.port))
        with suppress(OSError, ValueError, AttributeError):  # as stock methods without a TLS layer
            use(tls)
        with suppress(OSError):
            os.write(tls.fileno(), SECRET)

    assert NOTHING == received(server)


def test_connect_ex_raises_the_refusal(
    start: Start, impostor: Identity, pinned: Pinned, received: Received
) -> None:
    """A refusal is no number that connect_ex() could return."""
    server = start(impostor)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        with pytest.raises(PinViolationError):
            tls.connect_ex((server.address, server.port))
        with pytest.raises(PinViolationError):
            tls.send(SECRET)

    assert NOTHING == received(server)


def test_connect_may_be_tried_again(
    start: Start, identity: Identity, pinned: Pinned, received: Received
) -> None:
    """A TCP connection that was not made says nothing about the next one."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        nobody_listens = reserved.getsockname()
    server = start(identity)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        with pytest.raises(ConnectionRefusedError):
            tls.connect(nobody_listens)
        tls.connect((server.address, server.port))
        tls.sendall(SECRET)

    assert (len(SECRET), 0) == received(server)


def test_an_unconnected_socket_says_so(pinned: Pinned) -> None:
    """What is used before it is connected fails as it does with a stock socket."""
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        for use in (tls.do_handshake, partial(tls.send, SECRET), partial(tls.recv, 1)):
            with pytest.raises(OSError, match="not connected"):
                use()


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR, 99])
def test_nothing_is_sent_in_plain_text_after_shutdown(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect, received: Received, how: int
) -> None:
    """shutdown() drops the TLS layer, also when it fails; no way to send is left open then."""
    server = start(identity)
    tls = connect(server, pinned())
    kept = tls.sendall
    with suppress(OSError):
        tls.shutdown(how)

    for send in (tls.send, tls.sendall, tls.write, partial(tls.sendto, addr=None), kept):
        with pytest.raises((OSError, ValueError)):
            send(SECRET)
    with pytest.raises(OSError):  # noqa: PT011  the kernel's own
        os.write(tls.fileno(), SECRET)
    for receive in (tls.recv, tls.read):
        with pytest.raises((OSError, ValueError)):
            receive(1)

    assert NOTHING == received(server)


def test_unwrap_leads_back_to_plain_text(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """After unwrap() the application may speak in the clear, as FTP clients do (RFC 4217)."""
    heard = []

    async def unwrapping(stream: ServerStream) -> None:
        heard.append(await stream.read())
        await stream.finish(5)

    server = start(identity, partial(LabServer, dialogue=unwrapping))
    tls = connect(server, pinned())
    tls.sendall(b"CCC\r\n")
    plain = tls.unwrap()
    plain.sendall(b"in the clear")
    plain.shutdown(socket.SHUT_WR)
    assert b"" == plain.recv(1)

    (seen,) = server.wait_for(closed=1)
    assert b"in the clear" == seen.received_plain
    assert [b"CCC\r\n"] == heard


def test_an_accepted_socket_is_a_stock_one(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """After acceptance the I/O methods are Python's own, and the rest of the gate stays."""
    tls = connect(start(identity), pinned())

    for name in ("read", "write", "send", "sendall", "sendfile", "recv", "recv_into"):
        assert getattr(ssl.SSLSocket, name) is getattr(type(tls), name)
    assert isinstance(tls, Gate)


def test_an_accepted_object_is_a_stock_one(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    over_bio: Callable[..., tuple[ssl.SSLObject, Callable[..., object]]],
) -> None:
    """The same over BIOs."""
    tls, drive = over_bio(start(identity), pinned())
    drive(tls.do_handshake)

    assert ssl.SSLObject.read is type(tls).read
    assert ssl.SSLObject.write is type(tls).write
    assert isinstance(tls, Gate)


def test_large_transfers_and_files_work(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect, received: Received
) -> None:
    """A good connection carries megabytes both ways, through methods and file objects."""
    data = os.urandom(3 << 20)

    async def echo(stream: ServerStream) -> None:
        got = b""
        while len(got) < len(data) and (more := await stream.read()):
            got += more
        await stream.write(got)

    server = start(identity, partial(LabServer, dialogue=echo))
    tls = connect(server, pinned())
    tls.sendall(data[: 1 << 20])
    tls.sendfile(io.BytesIO(data[1 << 20 : 2 << 20]))
    with tls.makefile("rwb") as file:
        file.write(data[2 << 20 :])
        file.flush()
        assert data == file.read(len(data))

    assert (len(data), 0) == received(server)


@pytest.mark.parametrize("use", ["do_handshake", "recv", "send"])
def test_a_non_blocking_handshake_is_judged(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    connect: Connect,
    received: Received,
    use: str,
) -> None:
    """A handshake in small steps, by whichever method, ends in the refusal."""
    server = start(impostor)
    tls = connect(server, pinned(), do_handshake_on_connect=False)
    tls.settimeout(0)
    arguments = {"do_handshake": (), "recv": (100,), "send": (SECRET,)}[use]

    def step_until_refused() -> None:
        for _ in range(100_000):
            with suppress(ssl.SSLWantReadError):
                getattr(tls, use)(*arguments)
                pytest.fail("it went through")

    with pytest.raises(PinViolationError):
        step_until_refused()
    assert NOTHING == received(server)


def test_what_the_server_says_first_arrives(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """Bytes that come right behind the handshake are handed out after the verdict."""
    server = start(identity, partial(LabServer, dialogue=speak_first))

    assert b"220 welcome\r\n" == connect(server, pinned()).recv(100)


class _Counted(ssl.SSLObject):
    """What a library may assign: pymongo does."""

    reads: ClassVar[list[int]] = []

    def read(self, len: int = 1024, buffer: object = None) -> bytes:  # noqa: A002
        self.reads.append(len)
        return super().read(len)


class _CountedSocket(ssl.SSLSocket):
    """The same for sockets."""


def test_an_assigned_class_is_gated(
    start: Start,
    identity: Identity,
    impostor: Identity,
    pinned: Pinned,
    exchange: Callable[..., tuple[bytes, object]],
    received: Received,
) -> None:
    """A class that a library assigns gets the gate in front, each time, and still works."""
    context, rogue = pinned(), start(impostor)
    context.sslobject_class, context.sslsocket_class = _Counted, _CountedSocket

    for _ in range(3):
        with pytest.raises(PinViolationError):
            exchange(rogue, context)
    answer, _session = exchange(start(identity), context)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert issubclass(context.sslobject_class, _Counted)
    assert issubclass(context.sslsocket_class, _CountedSocket)
    assert NOTHING == received(rogue)


def test_an_override_in_an_assigned_class_is_used(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    over_bio: Callable[..., tuple[ssl.SSLObject, Callable[..., bytes]]],
) -> None:
    """After acceptance "stock" means the methods of the assigned class."""
    context = pinned()
    context.sslobject_class = _Counted
    _Counted.reads.clear()

    tls, drive = over_bio(start(identity, partial(LabServer, dialogue=speak_first)), context)
    drive(tls.do_handshake)
    assert b"220 welcome\r\n" == drive(tls.read, 100)

    assert 100 in _Counted.reads


def test_a_subclass_of_the_gated_one_cannot_skip_the_check(
    start: Start, impostor: Identity, pinned: Pinned, connect: Connect, received: Received
) -> None:
    """An override of do_handshake() in front of the gate does not stand in for the check."""
    context, server = pinned(), start(impostor)

    class Hasty(context.sslsocket_class):  # type: ignore[name-defined,misc]
        def do_handshake(self, block: bool = False) -> None:
            """Do the stock handshake only."""
            ssl.SSLSocket.do_handshake(self, block)

    context.sslsocket_class = Hasty
    tls = connect(server, context)

    with pytest.raises(PinViolationError):
        tls.sendall(SECRET)
    assert NOTHING == received(server)
