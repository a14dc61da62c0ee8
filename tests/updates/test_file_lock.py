import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.updates.file_lock import locked

BUSY = UpdateError("others have it")


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes second waits, and goes on when the first is done."""
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with locked(tmp_path / "lock", 10, BUSY):
            order.append("second")

    with locked(tmp_path / "lock", 10, BUSY):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert begun.wait(10)
        order.append("first")
    waiting.join(10)

    assert ["first", "second"] == order


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """The error is the caller's, and the lock is free again after it."""
    with (
        locked(tmp_path / "lock", 10, BUSY),
        pytest.raises(UpdateError, match="others have it"),
        locked(tmp_path / "lock", 0, BUSY),
    ):
        pass
    with locked(tmp_path / "lock", 0, BUSY):
        pass


def test_no_link_is_followed(tmp_path: Path) -> None:
    """It would make a file elsewhere."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / "lock", 0, BUSY):
        pass

    assert not (tmp_path / "elsewhere").exists()


# Dies while a thread of it holds a lock; a child that it has forked lives on until its input ends.
DYING = """
import os, sys, threading
from pathlib import Path
from holdfast.updates.file_lock import locked

held = threading.Event()

def hold():
    with locked(Path(sys.argv[1]), 10, SystemExit()):
        held.set()
        threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
if os.fork() == 0:
    sys.stdin.read()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_child_of_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """The lock was that of a thread which the child does not have."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", DYING, tmp_path / "lock"], stdin=subprocess.PIPE
    ) as process:
        assert 0 == process.wait(10)

        with locked(tmp_path / "lock", 0, BUSY):
            pass
