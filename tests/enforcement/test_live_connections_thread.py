"""The thread that looks for new policies: nothing that happens to it may end the watch."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from holdfast.enforcement import live_connections
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.pins.policy import Policy, Unlisted

PATIENCE = 10.0  # seconds


class Source:
    """A policy source that can be broken."""

    def __init__(self) -> None:
        self.policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=())
        self.problems: list[BaseException] = []

    def current(self) -> Policy:
        """Return the policy, or raise what was put in."""
        with suppress(IndexError):
            raise self.problems.pop()
        return self.policy


class Accepted:
    """As much of an accepted connection as is asked for."""

    def __init__(self, judged_again: Callable[[], bool] = lambda: True) -> None:
        self._holdfast_judge_again = judged_again
        self.itself: object = None


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A watch of the test's own, which ends with the last connection."""
    monkeypatch.setattr(live_connections, "_WATCH", live_connections._Watch())
    monkeypatch.setattr(live_connections, "_LINGER", 0)
    yield
    thread = live_connections._WATCH._thread
    caplog.get_records("call").clear()  # their tracebacks hold connections
    caplog.clear()
    gc.collect()
    if thread is not None:
        thread.join(PATIENCE)


@pytest.fixture
def source() -> Source:
    """One that works."""
    return Source()


def _is_judged_again(live: LiveConnections, source: Source) -> bool:
    """Tell whether a new connection is judged under a new policy."""
    judged = threading.Event()

    def judge() -> bool:
        judged.set()
        return False

    connection = Accepted(judge)
    live.add(connection, source.policy)
    source.policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=())
    return judged.wait(PATIENCE)


def _leave_garbage(live: LiveConnections, policy: Policy) -> None:
    """Add connections that only a garbage collection removes."""
    for connection in [Accepted() for _ in range(50)]:
        connection.itself = connection
        live.add(connection, policy)


def test_a_thread_that_cannot_be_started_is_tried_again(
    source: Source, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there are no more threads the handshake goes on, and the next one starts the watch."""

    class Unstartable(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    live, first = LiveConnections(source), Accepted()
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", Unstartable)
        live.add(first, source.policy)

    assert "can't start new thread" in caplog.text
    assert _is_judged_again(live, source)


@pytest.mark.parametrize("problem", [SystemExit, KeyboardInterrupt, MemoryError])
def test_whatever_is_raised_the_watch_goes_on(
    source: Source, problem: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """A sink that calls sys.exit() while a connection is ended does not end the thread."""
    live = LiveConnections(source)

    def fail() -> bool:
        raise problem

    failing = Accepted(fail)
    live.add(failing, source.policy)
    source.policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=())
    end = time.monotonic() + PATIENCE
    while problem.__name__ not in caplog.text and time.monotonic() < end:
        time.sleep(0.005)
    del failing

    assert _is_judged_again(live, source)


def test_a_source_that_exits_does_not_end_the_watch(source: Source) -> None:
    """What the source raises is no affair of the thread."""
    live, first = LiveConnections(source), Accepted()
    source.problems.append(SystemExit())
    live.add(first, source.policy)

    assert _is_judged_again(live, source)
    assert [] == source.problems


def test_a_garbage_collection_during_a_look_harms_nothing(source: Source) -> None:
    """Before Python 3.12 one can come while the connections are being listed, and remove some."""
    live = LiveConnections(source)
    before = gc.get_threshold()
    held = [Accepted() for _ in range(3000)]
    for connection in held:
        live.add(connection, source.policy)
    try:
        gc.set_threshold(700)
        for _ in range(5):
            gc.collect()
            _leave_garbage(live, source.policy)
            live.look()
    finally:
        gc.set_threshold(*before)
    gc.collect()

    assert 3000 == len(live._connections)
