"""The files in a package or a folder, one after the other, within limits.

1. Nothing is written to the disk, so that no name in an archive leads anywhere.
2. What a header says of sizes is not relied on: reading ends at the limit.
3. What could not be looked at is said, and never passed over.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from holdfast.errors import HoldfastError

__all__ = ["LIMITS", "Entry", "Limits", "entries_of"]

_ZIP = b"PK\x03\x04"
_REFUSED = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError)


class Limits(NamedTuple):
    """How much is looked at.

    Attributes:
        entries: Files in all.
        entry: Bytes of one file.
        all: Bytes in all.
        depth: Packages in packages.
    """

    entries: int = 100_000
    entry: int = 64 * 1024 * 1024
    all: int = 2 * 1024 * 1024 * 1024
    depth: int = 3


LIMITS = Limits()


class Entry(NamedTuple):
    """One file.

    Attributes:
        name: Where it is, with `!` between a package and what is in it.
        content: What it holds; None where it could not be looked at.
        problem: Why not.
    """

    name: str
    content: bytes | None
    problem: str = ""


def entries_of(path: Path, limits: Limits = LIMITS) -> Iterator[Entry]:
    """Yield the files of a package (a zip file of any kind), of a folder, or a single one.

    Raises:
        HoldfastError: It cannot be read at all.
    """
    budget = _Budget(limits)
    try:
        if path.is_dir():
            yield from _in_folder(path, budget)
            return
        with path.open("rb") as file:
            if file.read(len(_ZIP)) == _ZIP:
                yield from _in_zip(file, "", budget, depth=1)
                return
            file.seek(0)
            yield from _one(path.name, file, budget, depth=0)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HoldfastError(f"{path} cannot be read: {reason}", hint="check the name") from error


class _Budget:
    """What may still be looked at."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._entries, self._all = limits.entries, limits.all

    def count(self) -> bool:
        """Count one file, and tell whether it may be looked at."""
        self._entries -= 1
        return self._entries >= 0

    def read(self, file: IO[bytes]) -> bytes | None:
        """Read a file; None where it has too many bytes."""
        most = min(self.limits.entry, self._all)
        content = file.read(most + 1)
        if len(content) > most:
            return None
        self._all -= len(content)
        return content


def _in_folder(folder: Path, budget: _Budget) -> Iterator[Entry]:
    for above, folders, names in os.walk(folder):  # links are not followed
        folders.sort()
        for name in sorted(names):
            path = Path(above, name)
            shown = path.relative_to(folder).as_posix()
            if not budget.count():
                yield Entry(shown, None, f"there are more than {budget.limits.entries} files")
                return
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    yield Entry(shown, None, "it is a link, or no file")
                    continue
                with path.open("rb") as file:
                    yield from _one(shown, file, budget, depth=0)
            except OSError as error:
                yield Entry(shown, None, error.strerror or str(error))


def _in_zip(file: IO[bytes], within: str, budget: _Budget, depth: int) -> Iterator[Entry]:
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except _REFUSED as error:
        yield Entry(within or "the package", None, f"it is damaged: {error}")
        return
    for info in infos:
        shown = f"{within}!{info.filename}" if within else info.filename
        if info.is_dir():
            continue
        if not budget.count():
            yield Entry(shown, None, f"there are more than {budget.limits.entries} files")
            return
        try:
            with archive.open(info) as entry:
                yield from _one(shown, entry, budget, depth)
        except _REFUSED as error:  # encrypted, damaged, or compressed in another way
            yield Entry(shown, None, str(error) or type(error).__name__)


def _one(name: str, file: IO[bytes], budget: _Budget, depth: int) -> Iterator[Entry]:
    content = budget.read(file)
    if content is None:
        yield Entry(name, None, "it is too large")
    elif not content.startswith(_ZIP):
        yield Entry(name, content)
    elif depth < budget.limits.depth:
        yield from _in_zip(io.BytesIO(content), name, budget, depth + 1)
    else:
        yield Entry(name, None, f"it is a package in {depth} others")
