"""Policies that change while connections are open."""

import asyncio
import gc
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests

from holdfast.enforcement import live_connections
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer, ServerStream
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

Connect = Callable[..., ssl.SSLSocket]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]
Start = Callable[..., LabServer]

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 10.0  # seconds


class Source:
    """A policy source that is told what to say."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy | None = policy

    def current(self) -> Policy:
        """Return the policy, or fail."""
        if self.policy is None:
            raise OSError("the source is broken")
        return self.policy


@pytest.fixture
def source(policy: Policy) -> Source:
    """A source that pins the server's key at first."""
    return Source(policy)


@pytest.fixture
def denying(policy: Policy, identity: Identity) -> Policy:
    """The policy after the key was stolen."""
    return replace(policy, denied=(Pin.parse(identity.spki_pin),))


def _endless(identity: Identity, **versions: Any) -> LabServer:  # noqa: ANN401
    async def drip(stream: ServerStream) -> None:
        while True:
            await stream.write(b"drop")
            await asyncio.sleep(0.01)

    return LabServer(identity, dialogue=drip, **versions)


def _until(condition: Callable[[], object]) -> None:
    """Wait until something holds, which another thread brings about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def _watchers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "holdfast-live-connections"]


def test_an_open_download_ends(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
) -> None:
    """A key that is denied ends what is being received, reports it, and refuses what comes next."""
    server = start(identity, _endless)
    tls = connect(server, pinned(source))
    assert tls.recv(4) == b"drop"

    source.policy = denying
    with suppress(OSError):  # Python 3.11 tells of an end, 3.13 of a reset
        while tls.recv(4):
            pass
    _until(lambda: violations)
    with pytest.raises(PinViolationError, match="denied"):
        tls.send(b"more")
    with pytest.raises(PinViolationError):
        tls.recv(1)

    assert [(Outcome.DENIED, server.port)] == [
        (one.verdict.outcome, one.port) for one in violations
    ]
    assert 0 == server.application_bytes


def test_a_reader_in_another_thread_is_woken(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
) -> None:
    """A thread that waits for data which does not come is not left waiting."""
    tls = connect(start(identity), pinned(source))
    ended = threading.Event()

    def read() -> None:
        try:
            tls.recv(1)
        except OSError:
            pass
        finally:
            ended.set()

    thread = threading.Thread(target=read)
    tls.settimeout(None)
    thread.start()
    source.policy = denying

    assert ended.wait(PATIENCE)
    thread.join()


def test_bios_refuse_what_is_asked_next(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    over_bio: Callable[..., Any],
    violations: list[Violation],
) -> None:
    """A BIO object has no socket to be shut down: its next read and write are refused."""
    server = start(identity)
    tls, drive = over_bio(server, pinned(source))
    drive(tls.do_handshake)
    drive(tls.write, REQUEST)
    assert drive(tls.read, 65536).startswith(b"HTTP/1.1 200")

    source.policy = denying
    _until(lambda: violations)
    for step in (lambda: tls.write(b"secret"), lambda: tls.read(1), tls.unwrap):
        with pytest.raises(PinViolationError):
            drive(step)

    assert len(REQUEST) == server.application_bytes
    assert 1 == len(violations)


@pytest.mark.parametrize("change", ["report-only", "another set", "the same again"])
def test_what_may_go_on_goes_on(
    *,
    change: str,
    start: Start,
    identity: Identity,
    impostor: Identity,
    source: Source,
    policy_for: PolicyFor,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
) -> None:
    """A policy that would accept the connection, or only report it, does not end it."""
    context = pinned(source)
    tls = connect(start(identity), context)
    source.policy = {
        "report-only": policy_for(leaf=impostor.spki_pin, mode=Mode.REPORT_ONLY),
        "another set": policy_for(hosts=("other.example",), unlisted=Unlisted.ALLOW),
        "the same again": policy_for(),
    }[change]
    key = id(tls)
    _until(lambda: context._holdfast_pinning.enforcement.live._connections[key][1] is source.policy)
    tls.sendall(REQUEST)

    assert tls.recv(65536).startswith(b"HTTP/1.1 200")
    assert [] == violations


def test_a_source_that_fails_ends_nothing(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
) -> None:
    """Nothing is known then: new connections are refused, and these wait for the next policy."""
    context = pinned(source)
    tls = connect(start(identity), context)
    source.policy = None
    context._holdfast_pinning.enforcement.live.look()
    tls.sendall(REQUEST)
    assert tls.recv(65536).startswith(b"HTTP/1.1 200")

    source.policy = denying
    _until(lambda: violations)


def test_a_change_during_the_handshake_is_noticed(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A policy that comes between the decision and the acceptance is applied to it too."""
    context = pinned(source)
    decide = context._holdfast_pinning.enforcement.judge.decide

    def and_change(*arguments: Any) -> Any:  # noqa: ANN401
        verdict = decide(*arguments)
        source.policy = denying
        return verdict

    monkeypatch.setattr(context._holdfast_pinning.enforcement.judge, "decide", and_change)
    connect(start(identity), context)

    _until(lambda: violations)


def test_a_resumed_connection_ends_too(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
) -> None:
    """A connection without a path of its own is judged by the one that it was accepted for."""
    server, context = start(identity), pinned(source)
    first = connect(server, context)
    first.sendall(REQUEST)
    first.recv(65536)
    session = first.session
    first.close()
    second = connect(server, context, "localhost", session)
    assert second.session_reused

    source.policy = denying
    _until(lambda: violations)
    with pytest.raises(PinViolationError):
        second.send(b"more")


def test_a_policy_that_cannot_change_is_not_watched(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """A static policy costs neither memory nor a thread."""
    context = pinned()
    connect(start(identity), context)

    assert not context._holdfast_pinning.enforcement.live
    assert context._holdfast_pinning.enforcement.live.policy_before() is None


def test_what_nobody_holds_is_forgotten(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    pinned: Pinned,
    connect: Connect,
    still_open: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections that are gone leave nothing behind, and the thread ends with the last one."""
    server, context = start(identity), pinned(source)
    monkeypatch.setattr(live_connections, "_LINGER", 0)
    for _ in range(50):
        connect(server, context).close()
    still_open.pop_all()
    gc.collect()
    _until(lambda: not context._holdfast_pinning.enforcement.live)

    _until(lambda: not _watchers())


def test_a_closed_connection_is_not_reported(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
    violations: list[Violation],
) -> None:
    """What is over needs no end, though somebody still holds it."""
    context = pinned(source)
    tls = connect(start(identity), context)
    tls.close()
    source.policy = denying
    _until(lambda: not context._holdfast_pinning.enforcement.live)

    assert [] == violations
    assert tls.fileno() == -1


def test_one_that_cannot_be_judged_does_not_keep_the_others_alive(
    policy: Policy, denying: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in one connection is logged, and the rest is judged."""

    class Broken:
        def _holdfast_judge_again(self) -> bool:
            raise RuntimeError("broken")

    class Ended:
        ended = False

        def _holdfast_judge_again(self) -> bool:
            self.ended = True
            return False

    source = Source(policy)
    live, broken, sound = LiveConnections(source), Broken(), Ended()
    live.add(broken, policy)
    live.add(sound, policy)
    source.policy = denying
    live.look()

    assert sound.ended
    assert live  # the broken one is looked at again
    assert "could not be judged again" in caplog.text


@pytest.mark.threat("T50")
def test_a_forked_child_watches_by_itself(
    *,
    start: Start,
    identity: Identity,
    source: Source,
    denying: Policy,
    pinned: Pinned,
    connect: Connect,
) -> None:
    """In a child, where the thread does not exist, an inherited connection is ended as well."""
    tls = connect(start(identity), pinned(source))
    child = os.fork()
    if child == 0:  # pragma: no cover  in the child
        code = 1
        try:
            source.policy = denying
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and code:
                try:
                    tls.send(b"")
                except PinViolationError:
                    code = 0
                time.sleep(0.01)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)


def test_many_threads_and_policies(
    *, start: Start, identity: Identity, source: Source, policy: Policy, pinned: Pinned
) -> None:
    """While the policy changes, connections of many threads end or go on, and no more."""
    server, context = start(identity), pinned(source)
    others: list[BaseException] = []

    def talk() -> None:
        for _ in range(15):
            try:
                with (
                    socket.create_connection((server.address, server.port), timeout=5) as tcp,
                    context.wrap_socket(tcp, server_hostname="localhost") as tls,
                ):
                    tls.sendall(REQUEST)
                    tls.recv(65536)
            except OSError:
                continue
            except BaseException as error:  # noqa: BLE001
                others.append(error)

    threads = [threading.Thread(target=talk) for _ in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        source.policy = replace(policy)
        time.sleep(0.01)

    assert [] == others


# --- Libraries, with the file that changes -------------------------------------------------------


@pytest.fixture
def pooled(identity: Identity, policy: Policy, source: Source) -> LabServer:
    """A server that keeps connections open."""
    return LabServer(identity)


@pytest.mark.threat("T06")
def test_requests_does_not_go_on_with_a_pooled_connection(
    pooled: LabServer, source: Source, denying: Policy, anchors: Path, violations: list[Violation]
) -> None:
    """The request after the change shows the violation, though a connection was in the pool."""
    with pooled as server, requests.Session() as session:
        session.mount("https://", PinningAdapter(source, public_anchors=anchors))
        assert 200 == session.get(server.url, timeout=5).status_code
        source.policy = denying
        time.sleep(3 * live_connections._INTERVAL)
        with pytest.raises(requests.exceptions.RequestException) as failure:
            session.get(server.url, timeout=5)

    assert violation_from(failure.value) is not None


def test_httpx_does_not_go_on_with_a_pooled_connection(
    pooled: LabServer, source: Source, denying: Policy, pinned: Pinned
) -> None:
    """Httpx connects anew, and shows the violation."""
    with pooled as server, httpx.Client(verify=pinned(source), timeout=5) as client:
        assert 200 == client.get(server.url).status_code
        source.policy = denying
        time.sleep(3 * live_connections._INTERVAL)
        with pytest.raises(httpx.TransportError) as failure:
            client.get(server.url)

    assert violation_from(failure.value) is not None


async def test_httpx_with_asyncio_does_not_go_on_with_a_pooled_connection(
    pooled: LabServer, source: Source, denying: Policy, pinned: Pinned
) -> None:
    """The connection itself, which no thread may touch, shows the violation when it is used."""
    with pooled as server:
        async with httpx.AsyncClient(verify=pinned(source), timeout=5) as client:
            assert 200 == (await client.get(server.url)).status_code
            before = server.application_bytes
            source.policy = denying
            await asyncio.sleep(3 * live_connections._INTERVAL)
            for _ in range(2):
                with pytest.raises((httpx.TransportError, PinViolationError)) as failure:
                    await client.get(server.url)
                assert violation_from(failure.value) is not None

        assert before == server.application_bytes


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_aiohttp_does_not_go_on_with_a_pooled_connection(
    pooled: LabServer, source: Source, denying: Policy, pinned: Pinned, method: str
) -> None:
    """Whether aiohttp repeats the request or not, it shows the violation, and nothing arrives."""
    connector = aiohttp.TCPConnector(ssl=pinned(source))
    with pooled as server:
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(server.url) as response:
                assert response.status == 200
                await response.read()
            before = server.application_bytes
            source.policy = denying
            await asyncio.sleep(3 * live_connections._INTERVAL)
            with pytest.raises(aiohttp.ClientError) as failure:
                await session.request(method, server.url)

        assert violation_from(failure.value) is not None
        assert before == server.application_bytes
