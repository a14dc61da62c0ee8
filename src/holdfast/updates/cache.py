"""The cache of a client: python-tuf's working copy, sealed generations, and one pointer.

    work/                python-tuf's own files; may run ahead of what is in force
    gen/N/               a sealed copy of them (hard links): metadata/, targets/, sealed
    current              the newest generations; replacing this file is the commit
    floor.a floor.b      how far updates had come            (see `memory`)
    denied.a denied.b    keys that are never accepted again  (see `memory`)
    installation         the installation value              (see `installation`)
    adoption-*.told      what was last told of adoption      (see `installation`)
    lock                 held during a refresh

1. Whoever reads takes no lock and writes nothing. A generation is never changed, and is removed
   only when two newer ones are there; a reader that it is taken from begins anew.
2. A generation is on the disk, and was verified as it stands there, before `current` names it.
3. Writing needs the lock, so that it is offered only by what `Cache.refreshing` yields.
4. The cache keeps bytes: what they mean is for those who call.

A first version that committed only a pointer into python-tuf's own files fell back to older
embedded pins in 11 of 150 kills.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from holdfast.errors import CacheError, HoldfastError
from holdfast.updates.file_lock import locked
from holdfast.updates.freshness import Floor
from holdfast.updates.installation import (
    keep_installation,
    keep_told,
    read_installation,
    read_told,
)
from holdfast.updates.memory import Memory, deny, raise_floor, read_memory
from holdfast.updates.own_files import (
    check,
    check_tree,
    files_below,
    make_folder,
    read_file,
    replace_file,
    sync_file,
    sync_folder,
    with_checksum,
    without_checksum,
)

__all__ = ["Cache", "Floor", "Generation", "Loaded", "Memory", "Refresh", "state_folder"]

_KEPT = 2  # generations
_LOCK_DEADLINE = 10.0  # seconds
_SMALL = 4096  # bytes; what `current` and `sealed` have at most
_MOST_TRIES = 10  # readings while others publish faster than we read
_SEALED = "sealed"
_KEPT_SUFFIXES = {".json", ".sqlite"}  # what else is there was left by a kill

_Checked = TypeVar("_Checked")


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return where a user's programs keep what must outlast them (XDG Base Directory, 0.8).

    Raises:
        CacheError: The environment does not say.
    """
    for variable, below in (("XDG_STATE_HOME", ""), ("HOME", ".local/state")):
        folder = Path(environment.get(variable, ""))
        if folder.is_absolute():
            return folder / below / "holdfast"
    raise CacheError("no place for a cache: HOME is not set", hint="name a folder for the cache")


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


@dataclass(frozen=True, slots=True)
class Loaded(Generic[_Checked]):
    """A generation that has passed its check.

    Attributes:
        value: What the check has returned.
        generation: Which one it is.
        rejected: Why newer ones were passed over, each with its number; nothing, if all is well.
    """

    value: _Checked
    generation: Generation
    rejected: tuple[str, ...]


class Cache:
    """A folder of one user, shared by all processes and threads that are given it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Name the folder; nothing is read or made yet.

        Args:
            folder: Taken from the present working directory where it is relative.
        """
        self.folder = Path(folder).absolute()

    def load(self, check_generation: Callable[[Generation], _Checked]) -> Loaded[_Checked] | None:
        """Return the newest generation that passes a check, or None where none is kept.

        Args:
            check_generation: Verifies a generation; raises a HoldfastError or an OSError for one
                that must not be used.

        Raises:
            CacheError: Others could have written the cache, it cannot be read, or no generation
                passes; the text says why.
        """
        with _as_cache_error(self.folder, "read"):
            for _ in range(_MOST_TRIES):
                if not self._exists():
                    return None
                numbers = self._numbers()
                rejected: list[str] = []
                for number in numbers:
                    try:
                        generation = self._generation(number)
                        return Loaded(check_generation(generation), generation, tuple(rejected))
                    except (HoldfastError, OSError, ValueError) as error:
                        rejected.append(f"generation {number}: {error}")
                        if self._numbers() != numbers:
                            break  # it was removed under our hands
                else:
                    break
            else:
                numbers, rejected = [0], ["it changes faster than it can be read"]
            if not numbers:
                return None
            raise CacheError(f"{self.folder} has nothing to use: {'; '.join(rejected)}")

    def memory(self) -> Memory:
        """Return the floor and the denied keys.

        Raises:
            CacheError: Others could have written them, or they cannot be read.
        """
        with _as_cache_error(self.folder, "read"):
            return read_memory(self.folder) if self._exists() else Memory()

    def installation(self) -> bytes | None:
        """Return the installation value, if one is kept.

        Raises:
            CacheError: It is damaged or others could have written it, so that it counts for
                nothing; or it cannot be read.
        """
        with _as_cache_error(self.folder, "read"):
            return read_installation(self.folder) if self._exists() else None

    @contextmanager
    def refreshing(self, deadline: float = _LOCK_DEADLINE) -> Iterator[Refresh]:
        """Keep others from refreshing; what a kill has left half-done is cleared away.

        Args:
            deadline: Seconds to wait for others.

        Raises:
            CacheError: Others are still refreshing, others could have written the cache, or it
                cannot be written. What was in force still is.
        """
        with _as_cache_error(self.folder, "written"):
            if not self.folder.exists():
                self.folder.parent.mkdir(parents=True, exist_ok=True)
            make_folder(self.folder)
            lock = self.folder / "lock"
            with suppress(FileNotFoundError):
                check(lock, is_folder=False)
            busy = CacheError(f"{self.folder} is being refreshed by another process or thread")
            with locked(lock, deadline, busy):
                refresh = Refresh(self)
                refresh.prepare()
                try:
                    yield refresh
                finally:
                    refresh.sync()

    def _exists(self) -> bool:
        try:
            check(self.folder, is_folder=True)
        except FileNotFoundError:
            return False
        return True

    def _numbers(self) -> list[int]:
        """Return the generations to try, newest first: all that are there, if `current` is not."""
        try:
            numbers = without_checksum(read_file(self.folder / "current", _SMALL))
        except FileNotFoundError:
            numbers = None
        except ValueError:
            numbers = None
        if isinstance(numbers, list) and all(type(number) is int for number in numbers):
            return numbers
        return _sealed_in(self.folder / "gen")

    def _generation(self, number: int) -> Generation:
        check(self.folder / "gen", is_folder=True)
        folder = self.folder / "gen" / str(number)
        check_tree(folder)
        return Generation(number, folder, _sealed_at(folder))


class Refresh:
    """What may be done to a cache while its lock is held. `Cache.refreshing` yields it."""

    def __init__(self, cache: Cache) -> None:
        """Belong to a cache."""
        self._cache = cache
        self._generations = cache.folder / "gen"
        self._work = cache.folder / "work"
        self.metadata = self._work / "metadata"
        self.targets = self._work / "targets"
        self._synced: set[tuple[int, int]] = set()

    def prepare(self) -> None:
        """Make the folders, and clear away what a kill has left."""
        for folder in (
            self._generations,
            self._work,
            self.metadata,
            self.metadata / "root_history",
            self.targets,
        ):
            make_folder(folder)
        # python-tuf makes this link anew each time, and reads it only where it has no root bytes.
        (self.metadata / "root.json").unlink(missing_ok=True)
        check_tree(self._work)
        for path in files_below(self._work):
            if path.suffix not in _KEPT_SUFFIXES:
                path.unlink()
        for path in self._generations.iterdir():
            if not path.name.isdecimal():
                shutil.rmtree(path)
        # What is linked to a sealed file was on the disk before that was sealed.
        self._synced.update(map(_identity, files_below(self._generations)))

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
        """Put the working copy in force as a generation; the one in force, if it is the same.

        Args:
            verified_at: The time as of which the working copy was verified.
            check_generation: Verifies the copy as it stands; whatever it raises stops the sealing.

        Raises:
            OSError: It cannot be written. What was in force still is.
        """
        numbers = self._cache._numbers()  # noqa: SLF001  the same module
        if (same := self._same_as_work(numbers)) is not None:
            return same
        self.sync()
        number = max([0, *numbers, *_sealed_in(self._generations)]) + 1
        draft = self._generations / f"{number}.draft"
        try:
            self._copy_to(draft)
            replace_file(draft / _SEALED, with_checksum(verified_at.isoformat()))
            check_generation(Generation(number, draft, verified_at))
            folder = self._generations / str(number)
            draft.rename(folder)
            sync_folder(self._generations)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        kept = [number, *numbers][:_KEPT]
        replace_file(self._cache.folder / "current", with_checksum(kept))
        for old in _sealed_in(self._generations):
            if old not in kept:
                shutil.rmtree(self._generations / str(old))
        return Generation(number, folder, verified_at)

    def raise_floor(self, floor: Floor) -> None:
        """Remember a floor, unless the one that is remembered is higher.

        Call it after `seal`: a floor above what is in force would refuse it.
        """
        raise_floor(self._cache.folder, floor)

    def deny(self, keys: Iterable[str]) -> None:
        """Remember denied keys beside those that are remembered."""
        deny(self._cache.folder, keys)

    def installation(self, offered: bytes) -> bytes:
        """Return the installation value that is kept; keep the one that is offered, if none is."""
        return keep_installation(self._cache.folder, offered)

    def told(self, application: str) -> tuple[datetime, str] | None:
        """Return when an application last told of its adoption, and what."""
        return read_told(self._cache.folder, application)

    def keep_told(self, application: str, time: datetime, what: str) -> None:
        """Remember when an application told of its adoption, and what."""
        keep_told(self._cache.folder, application, time, what)

    def _content(self) -> dict[Path, Path]:
        """Return what belongs into a generation: its place there, and where it is now."""
        return {
            path.relative_to(self._work): path
            for path in files_below(self._work)
            if path.suffix in _KEPT_SUFFIXES and not path.is_symlink()
        }

    def _same_as_work(self, numbers: list[int]) -> Generation | None:
        """Return the generation in force where it is whole and holds what is in `work/`."""
        try:
            generation = self._cache._generation(numbers[0])  # noqa: SLF001  the same module
            kept = {path.relative_to(generation.folder) for path in files_below(generation.folder)}
            content = self._content()
            if kept == {*content, Path(_SEALED)} and all(
                path.samefile(generation.folder / place)
                or path.read_bytes() == (generation.folder / place).read_bytes()
                for place, path in content.items()
            ):
                return generation
        except (HoldfastError, OSError, ValueError, IndexError):
            pass  # a new one takes its place
        return None

    def _copy_to(self, draft: Path) -> None:
        folders = [draft / below for below in ("", "metadata", "metadata/root_history", "targets")]
        for folder in folders:
            folder.mkdir(mode=0o700)
        # Neither python-tuf nor we write into a file that has its name: a link stays as it is.
        for place, path in self._content().items():
            os.link(path, draft / place, follow_symlinks=False)
        for folder in folders[1:]:
            sync_folder(folder)


def _sealed_in(generations: Path) -> list[int]:
    """Return the numbers of the sealed generations, newest first."""
    with suppress(FileNotFoundError):
        names = [path.name for path in generations.iterdir()]
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)
    return []


def _identity(path: Path) -> tuple[int, int]:
    """Return what a file written anew does not share with one that was there before."""
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns


def _sealed_at(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(without_checksum(read_file(folder / _SEALED, _SMALL)))
    except (ValueError, TypeError) as error:
        raise CacheError(f"{folder / _SEALED} is damaged: {error}") from None


@contextmanager
def _as_cache_error(folder: Path, done: str) -> Iterator[None]:
    """Turn what the system says into one class of errors."""
    try:
        yield
    except HoldfastError:
        raise
    except OSError as error:
        where = folder if error.filename is None else error.filename
        raise CacheError(f"{where} cannot be {done}: {error.strerror or error}") from error
