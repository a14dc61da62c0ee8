"""The gate under event loops: asyncio and trio."""

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trio

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer, ServerStream
from holdfast.pins.verdict import Outcome, Violation

NOTHING = (0, 0)
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Received = Callable[[LabServer], tuple[int, int]]
Fetch = Callable[[LabServer, ssl.SSLContext], Awaitable[bytes]]


@pytest.fixture(autouse=True)
def complaints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What event loops complain of, such as exceptions that nobody retrieved: there is nothing."""
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop, "call_exception_handler", lambda _, context: heard.append(context)
    )
    yield heard
    gc.collect()
    assert [] == heard


async def over_streams(server: LabServer, context: ssl.SSLContext) -> bytes:
    """Fetch with asyncio.open_connection()."""
    reader, writer = await asyncio.open_connection(
        server.address, server.port, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(REQUEST)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def over_start_tls(server: LabServer, context: ssl.SSLContext) -> bytes:
    """Fetch over a plain connection that StreamWriter.start_tls() upgrades."""
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        await writer.start_tls(context, server_hostname="localhost")
        writer.write(REQUEST)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


async def over_trio(server: LabServer, context: ssl.SSLContext) -> bytes:
    """Fetch with trio, which runs in a thread of its own."""

    async def fetch() -> bytes:
        tcp = await trio.open_tcp_stream(server.address, server.port)
        async with trio.SSLStream(
            tcp, context, server_hostname="localhost", https_compatible=True
        ) as tls:
            await tls.send_all(REQUEST)
            answer = b""
            async for data in tls:
                answer += data
            return answer

    return await asyncio.to_thread(trio.run, fetch)


each_client = pytest.mark.parametrize("fetch", [over_streams, over_start_tls, over_trio])


@each_client
async def test_the_pinned_server_is_reached(
    start: Start, identity: Identity, pinned: Pinned, fetch: Fetch
) -> None:
    """A good connection works as ever."""
    answer = await fetch(start(identity), pinned())

    assert answer.endswith(b"hello from the lab\n")


@each_client
async def test_an_impostor_gets_nothing(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    received: Received,
    violations: list[Violation],
    fetch: Fetch,
) -> None:
    """The refusal surfaces at once, with the violation beneath, and no byte is sent."""
    server = start(impostor)

    with pytest.raises((PinViolationError, trio.BrokenResourceError)) as refusal:
        await fetch(server, pinned())

    assert violations == [violation_from(refusal.value)]
    assert NOTHING == await asyncio.to_thread(received, server)


@each_client
async def test_an_untrusted_server_gets_nothing(
    start: Start,
    pinned: Pinned,
    received: Received,
    violations: list[Violation],
    fetch: Fetch,
) -> None:
    """The same with a chain that does not verify."""
    server = start(Authority.new("Unknown CA").issue("localhost"))

    with pytest.raises((PinViolationError, trio.BrokenResourceError)):
        await fetch(server, pinned())

    assert [Outcome.UNTRUSTED] == [violation.verdict.outcome for violation in violations]
    assert NOTHING == await asyncio.to_thread(received, server)


@pytest.mark.threat("T31")
@each_client
async def test_the_client_certificate_does_not_reach_an_impostor(
    *,
    start: Start,
    honest: Authority,
    impostor: Identity,
    client_identity: Identity,
    pinned: Pinned,
    received: Received,
    fetch: Fetch,
) -> None:
    """The connection ends before the flight that holds the client's certificate leaves."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    server, context = start(impostor, make), pinned()
    client_identity.load_into(context)

    with pytest.raises((PinViolationError, trio.BrokenResourceError)):
        await fetch(server, context)

    assert NOTHING == await asyncio.to_thread(received, server)
    (seen,) = server.connections
    assert seen.client_certificate is None
    assert not seen.handshake_completed


@each_client
async def test_the_client_certificate_reaches_the_pinned_server(
    start: Start,
    honest: Authority,
    identity: Identity,
    client_identity: Identity,
    pinned: Pinned,
    fetch: Fetch,
) -> None:
    """The server whose pin matches is shown the certificate that it asks for."""
    server, context = start(identity, partial(LabServer, client_anchors=[honest])), pinned()
    client_identity.load_into(context)

    answer = await fetch(server, context)

    assert answer.endswith(b"hello from the lab\n")
    assert client_identity.der == server.connections[0].client_certificate


@pytest.mark.threat("T32")
async def test_what_an_impostor_says_first_is_not_handed_on(
    start: Start, impostor: Identity, pinned: Pinned
) -> None:
    """A protocol is not even told that there was a connection."""

    async def speak_first(stream: ServerStream) -> None:
        await stream.write(b"220 welcome\r\n")

    told: list[str] = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            told.append("made")

        def data_received(self, data: bytes) -> None:
            told.append("data")

    server = start(impostor, partial(LabServer, dialogue=speak_first))
    with pytest.raises(PinViolationError):
        await asyncio.get_running_loop().create_connection(
            Protocol, server.address, server.port, ssl=pinned(), server_hostname="localhost"
        )

    assert [] == told


@pytest.mark.threat("T12")
async def test_a_nameless_start_tls_is_refused(
    start: Start, identity: Identity, pinned: Pinned, received: Received
) -> None:
    """loop.start_tls() passes no name on unless it is given one; nothing would be checked."""
    server = start(identity)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        asyncio.Protocol, server.address, server.port
    )
    try:
        with pytest.raises(PinnedContextError, match="name"):
            await loop.start_tls(transport, protocol, pinned())
    finally:
        transport.close()

    assert NOTHING == await asyncio.to_thread(received, server)


async def test_a_failing_source_surfaces_at_once(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    received: Received,
    violations: list[Violation],
) -> None:
    """A source that begins to fail in mid-handshake brings an SSL error at once, not a hang."""
    server, context = start(identity), pinned()
    answers = iter(
        [context._holdfast_pinning.enforcement.judge._source.current()]
    )  # to be admitted; then it fails

    class Failing:
        def current(self) -> object:
            return next(answers)

    context._holdfast_pinning.enforcement.judge._source = Failing()

    with pytest.raises(PinViolationError, match="StopIteration"):
        await over_streams(server, context)

    assert [Outcome.UNDECIDABLE] == [violation.verdict.outcome for violation in violations]
    assert NOTHING == await asyncio.to_thread(received, server)
