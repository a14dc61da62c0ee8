"""A lock between processes and threads, as a file that stays."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import HoldfastError

__all__ = ["locked"]

_INTERVAL = 0.02  # seconds
_HOLDERS: dict[int, int] = {}  # by descriptor, the thread that opened it


@contextmanager
def locked(path: Path, deadline: float, busy: HoldfastError) -> Iterator[None]:
    """Hold a lock; it ends with the process, however that ends.

    Args:
        path: Its file, made where there is none.
        deadline: Seconds to wait for others.
        busy: What to raise when they have not finished by then.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    _HOLDERS[descriptor] = threading.get_ident()
    ends = time.monotonic() + deadline
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= ends:
                    raise busy from None
                time.sleep(_INTERVAL)
        try:
            yield
        finally:
            # A child forked meanwhile has the lock too: closing alone would leave it held.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        del _HOLDERS[descriptor]
        os.close(descriptor)


def _let_go() -> None:
    """Let a forked child have no part in what threads hold that it has not: they may be killed."""
    for descriptor, thread in list(_HOLDERS.items()):
        if thread != threading.get_ident():
            del _HOLDERS[descriptor]
            os.close(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
