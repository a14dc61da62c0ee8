"""An event loop in a thread of its own, so that blocking and async clients can be served alike."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["LoopThread"]

_STOP_SECONDS = 10.0


class LoopThread:
    """A thread that runs one coroutine on an event loop of its own until it is stopped."""

    def __init__(self, main: Coroutine[None, None, None], name: str) -> None:
        """Start at once.

        Args:
            main: What to run.
            name: What messages call the thread.
        """
        # Not the policy's loop: uvloop and Windows' default have no use here.
        self._loop = asyncio.SelectorEventLoop()
        self._task = self._loop.create_task(main)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancel the coroutine and wait for its end.

        Raises:
            RuntimeError: It does not end.
        """
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError(f"the {self._thread.name} did not stop in {_STOP_SECONDS} s")

    def _run(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
        finally:
            self._loop.close()
