"""The sealed generations of a cache, and which of them is in force.

    gen/N/        metadata/, targets/ and `sealed`, which says as of when it was verified
    gen/N.draft/  one that is being made
    current       the newest generations; replacing this file is the commit

1. A generation is never changed, and is removed only when two newer ones are there; a reader that
   it is taken from begins anew.
2. It is on the disk, and was verified as it stands there, before `current` names it.

A first version that committed only a pointer into python-tuf's own files fell back to older
embedded pins in 11 of 150 kills.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdfast.errors import CacheError, HoldfastError
from holdfast.updates.own_files import (
    check,
    check_tree,
    files_below,
    make_folder,
    read_file,
    replace_file,
    sync_folder,
    with_checksum,
    without_checksum,
)

__all__ = ["Generation", "Generations"]

_KEPT = 2  # generations
_SMALL = 4096  # bytes; what `current` and `sealed` have at most
_SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Generation:
    """A sealed copy.

    Attributes:
        number: Counts up.
        folder: Holds it.
        verified_at: The time as of which it was verified before it was sealed.
    """

    number: int
    folder: Path
    verified_at: datetime

    @property
    def metadata(self) -> Path:
        """The folder of its metadata."""
        return self.folder / "metadata"

    @property
    def targets(self) -> Path:
        """The folder of its targets."""
        return self.folder / "targets"


class Generations:
    """Those of one cache. Whoever writes holds its lock."""

    def __init__(self, cache: Path) -> None:
        """Name the folder of the cache."""
        self._folder, self._current = cache / "gen", cache / "current"

    def numbers(self) -> list[int]:
        """Return the generations to try, newest first: all that are there, if `current` is not."""
        try:
            numbers = without_checksum(read_file(self._current, _SMALL))
        except (FileNotFoundError, ValueError):
            numbers = None
        if isinstance(numbers, list) and all(type(number) is int for number in numbers):
            return numbers
        return self.sealed()

    def sealed(self) -> list[int]:
        """Return those that are there, newest first."""
        with suppress(FileNotFoundError):
            names = [path.name for path in self._folder.iterdir()]
            return sorted((int(name) for name in names if name.isdecimal()), reverse=True)
        return []

    def files(self) -> list[Path]:
        """Return all their files."""
        return list(files_below(self._folder))

    def opened(self, number: int) -> Generation:
        """Return a generation.

        Raises:
            CacheError: Others could have written it, or it does not say when it was verified.
            OSError: It cannot be read.
        """
        check(self._folder, is_folder=True)
        folder = self._folder / str(number)
        check_tree(folder)
        return Generation(number, folder, _sealed_at(folder))

    def prepare(self) -> None:
        """Make the folder, and clear away what a kill has left."""
        make_folder(self._folder)
        for path in self._folder.iterdir():
            if not path.name.isdecimal():
                shutil.rmtree(path)

    def seal(
        self,
        content: Mapping[Path, Path],
        verified_at: datetime,
        check_generation: Callable[[Generation], object],
    ) -> Generation:
        """Put files in force as a generation; the one in force, if it is the same.

        Args:
            content: Where each file is now, by its place in the generation. It is on the disk.
            verified_at: The time as of which it was verified.
            check_generation: Verifies the copy as it stands; whatever it raises stops the sealing.

        Raises:
            OSError: It cannot be written. What was in force still is.
        """
        numbers = self.numbers()
        if (same := self._same(numbers, content)) is not None:
            return same
        number = max([0, *numbers, *self.sealed()]) + 1
        draft = self._folder / f"{number}.draft"
        try:
            _copy(content, draft)
            replace_file(draft / _SEALED, with_checksum(verified_at.isoformat()))
            check_generation(Generation(number, draft, verified_at))
            folder = self._folder / str(number)
            draft.rename(folder)
            sync_folder(self._folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        kept = [number, *numbers][:_KEPT]
        replace_file(self._current, with_checksum(kept))
        for old in self.sealed():
            if old not in kept:
                shutil.rmtree(self._folder / str(old))
        return Generation(number, folder, verified_at)

    def _same(self, numbers: list[int], content: Mapping[Path, Path]) -> Generation | None:
        """Return the generation in force where it is whole and holds these files."""
        try:
            generation = self.opened(numbers[0])
            kept = {path.relative_to(generation.folder) for path in files_below(generation.folder)}
            if kept == {*content, Path(_SEALED)} and all(
                path.samefile(generation.folder / place)
                or path.read_bytes() == (generation.folder / place).read_bytes()
                for place, path in content.items()
            ):
                return generation
        except (HoldfastError, OSError, ValueError, IndexError):
            pass  # a new one takes its place
        return None


def _copy(content: Mapping[Path, Path], draft: Path) -> None:
    folders = [draft / below for below in ("", "metadata", "metadata/root_history", "targets")]
    for folder in folders:
        folder.mkdir(mode=0o700)
    # Neither python-tuf nor we write into a file that has its name: a link stays as it is.
    for place, path in content.items():
        os.link(path, draft / place, follow_symlinks=False)
    for folder in folders[1:]:
        sync_folder(folder)


def _sealed_at(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(without_checksum(read_file(folder / _SEALED, _SMALL)))
    except (ValueError, TypeError) as error:
        raise CacheError(f"{folder / _SEALED} is damaged: {error}") from None
