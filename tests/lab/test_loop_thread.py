import asyncio
import threading

import pytest

from holdfast.lab import loop_thread
from holdfast.lab.loop_thread import LoopThread


def _alive(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_stopping_cancels_and_waits() -> None:
    """The coroutine runs in a thread of its own, and has come to its end when `stop` returns."""
    events = []
    started = threading.Event()

    async def main() -> None:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            events.append(threading.current_thread().name)

    thread = LoopThread(main(), "some loop")
    assert started.wait(5)
    thread.stop()

    assert events == ["some loop"]
    assert [] == _alive("some loop")


def test_stopping_what_has_ended() -> None:
    """A coroutine that ended by itself needs no stopping, and may be stopped."""

    async def main() -> None:
        await asyncio.sleep(0)

    thread = LoopThread(main(), "short loop")
    for one in _alive("short loop"):
        one.join(5)
    thread.stop()

    assert [] == _alive("short loop")


def test_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine that goes on after it was canceled is an error, not a silent leak."""
    monkeypatch.setattr(loop_thread, "_STOP_SECONDS", 0.1)
    release = threading.Event()
    started = threading.Event()

    async def main() -> None:
        started.set()
        release.wait(5)  # blocks its loop

    thread = LoopThread(main(), "stubborn loop")
    assert started.wait(5)
    with pytest.raises(RuntimeError, match="stubborn loop did not stop"):
        thread.stop()
    release.set()
    for one in _alive("stubborn loop"):
        one.join(5)
