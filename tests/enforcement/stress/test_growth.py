"""What is left after tens of thousands of handshakes: nothing that grows with their number."""

import contextlib
import gc
import itertools
import random
import resource
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.enforcement import handshake, live_connections, verified_path
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.gate import Gate
from holdfast.lab.authorities import Authority, Identity
from holdfast.pins.policy import Policy

Pinned = Callable[..., PinningContext]
Pair = Callable[..., Any]

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
MIXED = 10_000
OVER_SOCKETS = 8  # one in so many; the others go through memory
HOSTS = 5_000  # more than any memory keeps
ACCEPTED = 100_000
RESUMED = 10  # of 11 accepted; a full handshake takes three times as long
PATIENCE = 20.0  # seconds
# Bytes of Python objects: one small object a connection would be ten times as much.
MOST_MEMORY = 500_000
# KiB of the whole process beyond what a stock context takes, which does grow, by half a KiB a
# handshake (Python 3.11 and 3.13, OpenSSL 3.0). One of OpenSSL's own objects would be as much more.
MOST_RESIDENT = 8_192


@pytest.fixture(scope="module")
def wide(issuing: Authority) -> Identity:
    """A server for any name of a domain, so that each connection can be to another host."""
    return issuing.issue("*.stress.example")


@pytest.fixture
def wide_policy(policy: Policy, wide: Identity, policy_for: Callable[..., Policy]) -> Policy:
    """Pins its key for all of them."""
    return policy_for(leaf=wide.spki_pin, hosts=("**.stress.example",))


@pytest.fixture(autouse=True)
def _short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_connections, "_LINGER", 0)


def _gates() -> int:
    gc.collect()
    return sum(isinstance(one, Gate) for one in gc.get_objects())


def _watch_ends() -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if live_connections._WATCH._thread is None:
            return True
        time.sleep(0.01)
    return False


class _TCPPair:
    """A client and a server over TCP on loopback, driven in turn by one thread."""

    def __init__(
        self,
        context: ssl.SSLContext,
        serving: ssl.SSLContext,
        host: str,
        session: ssl.SSLSession | None = None,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        ours.settimeout(0)
        theirs.settimeout(0)
        self.client = context.wrap_socket(
            ours, server_hostname=host, session=session, do_handshake_on_connect=False
        )
        self.server = serving.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)

    def handshake(self, steps: int = 2000) -> bool:
        """Let the ends take turns, and tell whether the client is through."""
        for step in range(steps):
            try:
                (self.server if step % 2 else self.client).do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except OSError:
                if step % 2 == 0:
                    raise
                continue
            if step % 2:
                self.client.do_handshake()
                return True
        return False

    def reset(self) -> None:
        """Have the server's end close with a reset."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, for 0 seconds
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.server.close()

    def close(self) -> None:
        """Close both ends."""
        self.client.close()
        self.server.close()


class _Mixture:
    """Makes connections of each kind, and counts what came of them."""

    def __init__(
        self, context: PinningContext, serving: dict[Any, ssl.SSLContext], pair: Pair
    ) -> None:
        self.context, self.serving, self.pair = context, serving, pair
        self.sessions: dict[ssl.TLSVersion, ssl.SSLSession | None] = {}
        self.chance = random.Random(1)
        self.accepted = self.refused = self.resumed = self.broken = 0

    def one(self, kind: str, version: ssl.TLSVersion, host: str, *, over_tcp: bool) -> None:
        """Make one connection, and drop it."""
        shown = kind if kind in {"wrong", "untrusted"} else "right"
        session = None
        if kind == "resumed":
            host, session = "one.stress.example", self.sessions.get(version)
        serving = self.serving[shown, version]
        make: Any = _TCPPair if over_tcp else self.pair
        made = make(self.context, serving, host, session)
        try:
            if kind in {"reset", "cancelled"}:
                self._break_off(made, kind)
            elif made.handshake():
                self._use(made, kind, version)
        except ssl.SSLCertVerificationError:
            self.refused += 1
        finally:
            if over_tcp:
                made.close()

    def _break_off(self, made: Any, kind: str) -> None:  # noqa: ANN401
        made.handshake(self.chance.randrange(4))
        if kind == "reset":
            if isinstance(made, _TCPPair):
                made.reset()
            else:
                made.to_client.write_eof()
            with contextlib.suppress(OSError):
                made.client.do_handshake()
        self.broken += 1

    def _use(self, made: Any, kind: str, version: ssl.TLSVersion) -> None:  # noqa: ANN401
        assert kind in {"right", "resumed"}
        self.accepted += 1
        self.resumed += bool(made.client.session_reused)
        made.client.write(b"data")
        if kind == "resumed" and not isinstance(made, _TCPPair):
            self.sessions[version] = made.resumable()


@pytest.mark.full
@pytest.mark.timeout(300)
def test_mixed_handshakes_leave_nothing(
    *,
    pinned: Pinned,
    source: Any,  # noqa: ANN401  the conftest's own
    wide: Identity,
    wide_policy: Policy,
    rogue: Authority,
    pair: Pair,
    descriptors: Callable[[], int],
) -> None:
    """After 10,000 of all kinds nothing is left open, and what is remembered is bounded."""
    source.policy = wide_policy
    shown = {
        "right": wide,
        "wrong": rogue.issue("*.stress.example"),
        "untrusted": Authority.new("Unknown CA").issue("*.stress.example"),
    }
    serving = {
        (name, version): one.server_context(minimum_version=version, maximum_version=version)
        for name, one in shown.items()
        for version in VERSIONS
    }
    sink = type("Sink", (), {"report": lambda *_: None})()
    context = pinned(source, sink)
    mixture = _Mixture(context, serving, pair)
    kinds = itertools.cycle(("right", "wrong", "untrusted", "reset", "cancelled", "resumed"))
    before = descriptors(), threading.active_count(), _gates()

    for number, kind in zip(range(MIXED), kinds, strict=False):
        host = f"h{number % HOSTS}.stress.example"
        over_tcp = number % OVER_SOCKETS == 0
        version = VERSIONS[number // len(shown) // 2 % 2]
        mixture.one(kind, version, host, over_tcp=over_tcp)
        if number % 1000 == 0:
            source.policy = replace(wide_policy)

    assert _watch_ends()
    assert before == (descriptors(), threading.active_count(), _gates())
    counted = MIXED // 6
    assert mixture.accepted >= 2 * counted
    assert mixture.refused >= 2 * counted
    assert mixture.broken >= 2 * counted
    assert mixture.resumed > counted // 2
    enforcement = context._holdfast_pinning.enforcement
    assert not enforcement.live
    assert len(enforcement.judge._approved) <= handshake._MEMORY_LIMIT
    assert len(enforcement.judge._paths) <= handshake._MEMORY_LIMIT
    assert len(enforcement.judge._earlier_paths) <= handshake._MEMORY_LIMIT
    assert len(enforcement.paths._known) <= verified_path._MEMORY_LIMIT


def _resident() -> int:
    """Return the KiB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1024


@pytest.mark.full
@pytest.mark.timeout(600)
def test_watched_connections_leave_nothing(
    *,
    pinned: Pinned,
    source: Any,  # noqa: ANN401
    policy: Policy,
    identity: Identity,
    anchors: Path,
    pair: Pair,
    descriptors: Callable[[], int],
) -> None:
    """After 100,000 accepted connections, ten of eleven resumed, memory is as a stock context's."""
    version = ssl.TLSVersion.TLSv1_2  # whose sessions can be used again and again
    serving = identity.server_context(minimum_version=version, maximum_version=version)
    context: ssl.SSLContext = ssl.create_default_context(cafile=anchors)
    pinning = pinned(source)
    live = pinning._holdfast_pinning.enforcement.live
    session: ssl.SSLSession | None = None
    held: list[Any] = []
    most = 0

    def accept(number: int) -> None:
        nonlocal session, most
        resumes = number % (RESUMED + 1) > 0
        made = pair(context, serving, "localhost", session if resumes else None)
        assert made.handshake()
        assert resumes is made.client.session_reused
        if not resumes:
            session = made.client.session
        held[number % 100 : number % 100 + 1] = [made]  # some live on for a while
        most = max(most, len(live._connections))

    for number in range(ACCEPTED // 10):
        accept(number)
    stock = _resident()
    for number in range(ACCEPTED // 10):
        accept(number)
    stock = _resident() - stock
    context = pinning
    for number in range(ACCEPTED // 10):
        accept(number)
    gc.collect()
    before, resident = descriptors(), _resident()
    tracemalloc.start()
    try:
        at_first = tracemalloc.get_traced_memory()[0]
        for number in range(ACCEPTED // 10, ACCEPTED):
            accept(number)
            if number % 5000 == 0:
                source.policy = replace(policy)  # all that live are judged again
        held.clear()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - at_first
        resident_grown = _resident() - resident
    finally:
        tracemalloc.stop()

    assert most < 1000
    assert not live
    assert grown < MOST_MEMORY
    assert resident_grown < 9 * stock + MOST_RESIDENT
    assert before >= descriptors()
    assert _watch_ends()
