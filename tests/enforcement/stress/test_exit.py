"""Exits in the middle of handshakes and reports, each in a process of its own (`under_load.py`)."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Run = Callable[[str], CompletedProcess[str]]

EXIT_CODE = 7


@pytest.mark.threat("T51")
@pytest.mark.parametrize("scenario", ["leave", "leave-late", "leave-from-sink"])
def test_an_exit_keeps_its_code(under_load: Run, scenario: str) -> None:
    """Whoever exits, and wherever threads are then, the process ends at once and quietly."""
    ran = under_load(scenario)

    assert (EXIT_CODE, "") == (ran.returncode, ran.stderr)


def test_an_exit_from_the_watch_ends_one_connection(under_load: Run) -> None:
    """A sink that exits in the watching thread is logged, and the other connection is ended too."""
    ran = under_load("leave-from-watch")

    assert EXIT_CODE == ran.returncode
    assert "a live connection could not be judged again" in ran.stderr
