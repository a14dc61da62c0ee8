"""Hundreds of connections at once under asyncio, and handshakes cancelled wherever one can be."""

import asyncio
import contextlib
import gc
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.interfaces import PolicySource

Pinned = Callable[..., PinningContext]
Start = Callable[..., LabServer]

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CONNECTIONS = 300
# Rounds of the event loop. It spins while the server's thread works: a handshake takes hundreds.
STEPS = (*range(20), *range(20, 400, 10), *range(400, 2000, 200))
LOOKS = 300


@pytest.fixture(autouse=True)
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What event loops complain of, such as exceptions that nobody retrieved."""
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop, "call_exception_handler", lambda _, context: heard.append(context)
    )
    return heard


async def _fetch(server: LabServer, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(
        server.address, server.port, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(REQUEST)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _cancelled_after(steps: int, task: asyncio.Task[Any]) -> bool:
    """Cancel a task after so many rounds of the loop, and tell whether that ended it."""
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    except (OSError, aiohttp.ClientError):
        return False
    return False


async def _falls_to(expected: int, count: Callable[[], int]) -> bool:
    """Wait until a count is no larger than expected: the server's ends close in their own time."""
    for _ in range(LOOKS):
        if count() <= expected:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_hundreds_at_once(
    *,
    start: Start,
    identity: Identity,
    impostor: Identity,
    untrusted: Identity,
    pinned: Pinned,
    source: PolicySource,
    complaints: list[dict[str, Any]],
) -> None:
    """Connections that run at the same time over one context do not share a fate."""
    context = pinned(source)
    servers = [start(identity), start(impostor), start(untrusted)]

    came_of = await asyncio.gather(
        *(_fetch(servers[number % 3], context) for number in range(CONNECTIONS)),
        return_exceptions=True,
    )

    assert {True} == {
        isinstance(one, bytes) and one.endswith(b"hello from the lab\n") for one in came_of[::3]
    }
    assert {PinViolationError} == {type(one) for one in came_of[1::3] + came_of[2::3]}
    assert [len(REQUEST) * CONNECTIONS // 3, 0, 0] == [one.application_bytes for one in servers]
    gc.collect()
    assert [] == complaints


@pytest.mark.threat("T48")
@pytest.mark.parametrize("shown", ["identity", "impostor"])
async def test_a_handshake_cancelled_anywhere_leaves_nothing(
    *,
    start: Start,
    pinned: Pinned,
    source: PolicySource,
    descriptors: Callable[[], int],
    complaints: list[dict[str, Any]],
    request: pytest.FixtureRequest,
    shown: str,
) -> None:
    """No descriptor, no connection that is watched, and at an impostor no byte."""
    server, context = start(request.getfixturevalue(shown)), pinned(source)
    with contextlib.suppress(PinViolationError):
        await _fetch(server, context)  # from now on all descriptors are there that stay
    await asyncio.to_thread(server.wait_for, 1)
    before = descriptors()

    def watched() -> int:
        gc.collect()
        return len(context._holdfast_pinning.enforcement.live._connections)

    ended = [
        await _cancelled_after(steps, asyncio.create_task(_fetch(server, context)))
        for steps in STEPS
    ]

    assert ended[0]
    assert await _falls_to(before, descriptors)
    assert await _falls_to(0, watched)
    assert [] == complaints
    if shown == "impostor":
        assert 0 == server.application_bytes


@pytest.mark.threat("T48")
async def test_a_pool_keeps_no_cancelled_connection(
    *, start: Start, identity: Identity, impostor: Identity, pinned: Pinned, source: PolicySource
) -> None:
    """After requests that were cancelled, a pool holds only connections that were accepted."""
    right, wrong = start(identity), start(impostor)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=pinned(source))) as session:

        async def get(server: LabServer) -> bytes:
            async with session.get(server.url) as response:
                return await response.read()

        for steps in STEPS:
            for server in (right, wrong):
                await _cancelled_after(steps, asyncio.create_task(get(server)))

        assert b"hello from the lab\n" == await get(right)
        with pytest.raises(aiohttp.ClientError):
            await get(wrong)
        assert session.connector is not None
        kept = [key.port for key, found in session.connector._conns.items() if found]

    assert [right.port] == kept
    assert 0 == wrong.application_bytes
