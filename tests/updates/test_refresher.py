import gc
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.updates.client import Refreshed, UpdateClient
from holdfast.updates.refresher import Refresher

PATIENCE = 5.0


class Asked:
    """A client that only counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0
        self.answer = Refreshed(succeeded=True)
        self.in_force = SimpleNamespace(refresh=timedelta(seconds=1000))

    def refresh(self) -> Refreshed:
        """Count."""
        self.times += 1
        return self.answer


def _refresher(asked: Asked, choose: Callable[[float, float], float] = max) -> Refresher:
    return Refresher(cast("UpdateClient", asked), choose=choose)


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(("choose", "expected"), [(min, 500.0), (max, 1500.0)])
def test_clients_spread_out(choose: Any, expected: float) -> None:  # noqa: ANN401
    """Each waits between half and one and a half of what the policy asks for."""
    refresher = _refresher(Asked(), choose)
    refresher.refresh()

    assert expected == refresher.wait


def test_after_a_failure_it_comes_sooner_and_then_less_soon() -> None:
    """One minute, then two, then four, and never later than without failures."""
    asked = Asked()
    refresher = _refresher(asked, lambda _low, high: high / 1.5)
    asked.answer = Refreshed(succeeded=False)
    waits = []
    for _ in range(40):
        refresher.refresh()
        waits.append(refresher.wait)
    asked.answer = Refreshed(succeeded=True)
    refresher.refresh()

    assert [60.0, 120.0, 240.0, 480.0, 960.0, 1000.0] == waits[:6]
    assert 1000.0 == waits[-1] == refresher.wait


def test_it_refreshes_at_the_start_and_when_it_is_told() -> None:
    """A mismatch brings a refresh forward, many mismatches no more than one."""
    asked = Asked()
    refresher = _refresher(asked, lambda low, _high: low)
    refresher.begin()
    _until(lambda: 1 == asked.times)

    assert [True, False, False] == [refresher.hint() for _ in range(3)]
    _until(lambda: 2 == asked.times)


def test_the_thread_ends_with_its_owner() -> None:
    """Who drops the policy is not left with a thread."""
    before = set(threading.enumerate())
    refresher = _refresher(Asked())
    refresher.begin()
    (thread,) = set(threading.enumerate()) - before
    del refresher
    gc.collect()
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_forked_child_refreshes_by_itself() -> None:
    """In a child, where the thread does not exist, there is a new one."""
    asked = Asked()
    refresher = _refresher(asked, lambda low, _high: low)
    refresher.begin()
    _until(lambda: 1 == asked.times)
    child = os.fork()
    if child == 0:  # pragma: no cover  in the child
        code = 1
        try:
            end = time.monotonic() + PATIENCE
            while asked.times < 2 and time.monotonic() < end:
                refresher.hint()
                time.sleep(0.01)
            code = int(asked.times < 2)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
