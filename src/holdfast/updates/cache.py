"""The cache of a client: python-tuf's working copy, sealed generations, and what is remembered.

    work/                python-tuf's own files              (see `cache_refresh`)
    gen/N/ current       sealed copies of them, a pointer    (see `generations`)
    floor.a floor.b      how far updates had come            (see `memory`)
    denied.a denied.b    keys that are never accepted again  (see `memory`)
    installation         the installation value              (see `installation`)
    adoption-*.told      what was last told of adoption      (see `installation`)
    lock                 held during a refresh

1. Whoever reads takes no lock and writes nothing.
2. Writing needs the lock, so that it is offered only by what `Cache.refreshing` yields.
3. The cache keeps bytes: what they mean is for those who call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from holdfast.errors import CacheError, HoldfastError
from holdfast.updates.cache_refresh import Refresh
from holdfast.updates.file_lock import locked
from holdfast.updates.generations import Generation, Generations
from holdfast.updates.installation import read_installation
from holdfast.updates.memory import Memory, read_memory
from holdfast.updates.own_files import check, make_folder

__all__ = ["Cache", "Loaded", "state_folder"]

_LOCK_DEADLINE = 10.0  # seconds
_MOST_TRIES = 10  # readings while others publish faster than we read

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
        self._generations = Generations(self.folder)

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
                numbers = self._generations.numbers()
                rejected: list[str] = []
                for number in numbers:
                    try:
                        generation = self._generations.opened(number)
                        return Loaded(check_generation(generation), generation, tuple(rejected))
                    except (HoldfastError, OSError, ValueError) as error:
                        rejected.append(f"generation {number}: {error}")
                        if self._generations.numbers() != numbers:
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
                refresh = Refresh(self.folder)
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
