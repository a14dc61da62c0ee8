"""When to refresh: in the background, at the pace that the policy asks for, and after a mismatch.

1. Clients spread out: each waits between half and one and a half of the time that is asked for.
2. A mismatch fails at once. It may mean that the pins have changed, so that a refresh is brought
   forward, at most once in five minutes. Nothing waits for it: an interceptor could hold the
   application up.
3. After a failure the next try comes sooner, and then less and less soon.
4. The thread ends when nobody holds what it works for any more.
"""

from __future__ import annotations

import logging
import random
import threading
import weakref
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from holdfast.updates.forked_child import begun_anew_in_child

if TYPE_CHECKING:
    from holdfast.updates.client import UpdateClient

__all__ = ["Refresher"]

_SOONEST_HINT = 300.0  # seconds between two refreshes that mismatches bring forward
_FIRST_RETRY = 60.0  # seconds; twice as long after each further failure
_AT_START = 2.0  # seconds within which the first refresh comes
_log = logging.getLogger("holdfast.updates")


class Refresher:
    """Keeps one client up to date."""

    def __init__(
        self,
        client: UpdateClient,
        *,
        choose: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Do nothing yet.

        Args:
            client: What is refreshed.
            choose: Returns a number between two.
        """
        self._client = client
        self._choose = choose
        self._wake = threading.Event()
        self._failures = 0
        self._last_hint: float | None = None
        self._wait = choose(0.0, _AT_START)

    def begin(self) -> None:
        """Refresh from here on. Where no thread is to be had, that is said, and no more."""
        wake = self._wake
        mine = weakref.ref(self, lambda _: wake.set())
        thread = threading.Thread(
            target=_run, args=(mine, wake), name="holdfast-updates", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("the policy is not updated in the background: %s", error)
        _ALIVE.add(self)

    def hint(self) -> bool:
        """Bring the next refresh forward; return whether it is."""
        now = monotonic()
        if self._last_hint is not None and now - self._last_hint < _SOONEST_HINT:
            return False
        self._last_hint = now
        self._wake.set()
        return True

    def refresh(self) -> None:
        """Refresh once, and choose when to do so again."""
        if self._client.refresh().succeeded:
            self._failures = 0
        else:
            self._failures += 1
        pace = self._client.in_force.refresh.total_seconds()
        if self._failures:
            pace = min(pace, _FIRST_RETRY * 2 ** min(self._failures - 1, 16))
        self._wait = self._choose(0.5, 1.5) * pace

    @property
    def wait(self) -> float:
        """Seconds until the next refresh, unless it is brought forward."""
        return self._wait

    def _forget_thread(self) -> None:
        """Begin anew in a forked child, where the thread does not exist."""
        self._wake = threading.Event()
        self.begin()


def _run(refresher: weakref.ref[Refresher], wake: threading.Event) -> None:
    """Work for a refresher, without keeping it alive."""
    while (alive := refresher()) is not None:
        wait = alive.wait
        del alive
        wake.wait(wait)
        wake.clear()
        if (alive := refresher()) is not None:
            try:
                alive.refresh()
            except BaseException:  # noqa: BLE001  sys.exit() somewhere beneath ends no updates
                _log.exception("the policy could not be refreshed")
            del alive


_ALIVE = begun_anew_in_child(Refresher._forget_thread)  # noqa: SLF001  the same module
