"""What may be done to a cache while its lock is held.

    work/   python-tuf's own files; may run ahead of what is in force

What is in the working copy comes into force as a sealed copy of it, by hard links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from holdfast.updates.freshness import Floor
from holdfast.updates.generations import Generation, Generations
from holdfast.updates.installation import keep_installation, keep_told, read_told
from holdfast.updates.memory import deny, raise_floor
from holdfast.updates.own_files import check_tree, files_below, make_folder, sync_file, sync_folder

__all__ = ["Refresh"]

_KEPT_SUFFIXES = {".json", ".sqlite"}  # what else is there was left by a kill


class Refresh:
    """What may be done to a cache while its lock is held. `Cache.refreshing` yields it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder of the cache."""
        self._folder = folder
        self._generations = Generations(folder)
        self._work = folder / "work"
        self.metadata = self._work / "metadata"
        self.targets = self._work / "targets"
        self._synced: set[tuple[int, int]] = set()

    def prepare(self) -> None:
        """Make the folders, and clear away what a kill has left."""
        self._generations.prepare()
        for folder in (self._work, self.metadata, self.metadata / "root_history", self.targets):
            make_folder(folder)
        # python-tuf makes this link anew each time, and reads it only where it has no root bytes.
        (self.metadata / "root.json").unlink(missing_ok=True)
        check_tree(self._work)
        for path in files_below(self._work):
            if path.suffix not in _KEPT_SUFFIXES:
                path.unlink()
        # What is linked to a sealed file was on the disk before that was sealed.
        self._synced.update(map(_identity, self._generations.files()))

    def sync(self) -> None:
        """Let what python-tuf has learned outlast a crash: it does not see to that itself."""
        new = [
            path
            for path in files_below(self._work)
            if not path.is_symlink() and _identity(path) not in self._synced
        ]
        for path in new:
            sync_file(path)
            self._synced.add(_identity(path))
        if new:
            for folder in (self.metadata / "root_history", self.metadata, self.targets):
                sync_folder(folder)

    def seal(
        self, verified_at: datetime, check_generation: Callable[[Generation], object]
    ) -> Generation:
        """Put the working copy in force, as `Generations.seal` does.

        Args:
            verified_at: The time as of which the working copy was verified.
            check_generation: Verifies the copy as it stands; whatever it raises stops the sealing.

        Raises:
            OSError: It cannot be written. What was in force still is.
        """
        self.sync()
        content = {
            path.relative_to(self._work): path
            for path in files_below(self._work)
            if path.suffix in _KEPT_SUFFIXES and not path.is_symlink()
        }
        return self._generations.seal(content, verified_at, check_generation)

    def raise_floor(self, floor: Floor) -> None:
        """Remember a floor, unless the one that is remembered is higher.

        Call it after `seal`: a floor above what is in force would refuse it.
        """
        raise_floor(self._folder, floor)

    def deny(self, keys: Iterable[str]) -> None:
        """Remember denied keys beside those that are remembered."""
        deny(self._folder, keys)

    def installation(self, offered: bytes) -> bytes:
        """Return the installation value that is kept; keep the one that is offered, if none is."""
        return keep_installation(self._folder, offered)

    def told(self, application: str) -> tuple[datetime, str] | None:
        """Return when an application last told of its adoption, and what."""
        return read_told(self._folder, application)

    def keep_told(self, application: str, time: datetime, what: str) -> None:
        """Remember when an application told of its adoption, and what."""
        keep_told(self._folder, application, time, what)


def _identity(path: Path) -> tuple[int, int]:
    """Return what a file written anew does not share with one that was there before."""
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns
