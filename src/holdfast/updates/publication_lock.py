"""One publication at a time: the hourly `resign` and a person's `publish` may meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import UpdateError
from holdfast.updates.file_lock import locked
from holdfast.updates.own_files import DRAFT

__all__ = ["publishing"]

_LOCK = ".lock"  # empty: it may be served
_DEADLINE = 30.0  # seconds; a publication of a million hosts takes about as long


@contextmanager
def publishing(folder: Path, deadline: float = _DEADLINE) -> Iterator[None]:
    """Keep others from publishing in a repository; what a kill has left half-written is removed.

    Args:
        folder: The repository.
        deadline: Seconds to wait for others.

    Raises:
        UpdateError: There is no repository, or others are still publishing.
        OSError: The folder cannot be written.
    """
    if not (folder / "metadata").is_dir():
        raise UpdateError(
            f"{folder} is no repository", hint="make one with `holdfast updates init`"
        )
    busy = UpdateError(
        f"another process has been publishing in {folder} for {deadline:g} s",
        hint="wait until it is done, and run this again",
    )
    with locked(folder / _LOCK, deadline, busy):
        for below in ("metadata", "targets"):
            for draft in (folder / below).rglob(f"*{DRAFT}"):
                draft.unlink()
        yield
