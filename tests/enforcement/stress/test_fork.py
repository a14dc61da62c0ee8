"""Forks while other threads connect, each in an interpreter of its own (`under_load.py`)."""

import os
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Run = Callable[[str], CompletedProcess[str]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.threat("T50")
@pytest.mark.full
@pytest.mark.timeout(120)
def test_children_of_a_busy_process_work(under_load: Run) -> None:
    """Sixty children, forked while threads connect, tell the servers apart and are watched."""
    ran = under_load("fork")

    assert (0, "") == (ran.returncode, ran.stderr)


@pytest.mark.full
@pytest.mark.timeout(120)
def test_pools_of_each_kind_work(under_load: Run) -> None:
    """Processes of multiprocessing connect, and a refusal comes back to the parent as one."""
    ran = under_load("pool")

    assert (0, "") == (ran.returncode, ran.stderr)


def test_what_loads_late_is_there_before_a_fork(under_load: Run) -> None:
    """A child never waits for a module that a thread of its parent was loading."""
    ran = under_load("fork-once")

    assert (0, "") == (ran.returncode, ran.stderr)
