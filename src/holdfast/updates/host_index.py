"""The pins of all hosts in one file, for a gateway: an SQLite database that is asked, not loaded.

    CREATE TABLE hosts (host TEXT PRIMARY KEY, leaf BLOB, backup BLOB, ca BLOB) WITHOUT ROWID

A list of pins is their digests one after the other, each behind a byte that says what it is of.

1. The file has been verified as a whole, by a hash that was signed. What a signer may have put into
   it is looked at all the same: no other table, view or trigger, no surprise in a row.
2. An entry that cannot be read is an error for its host, never "no pins".
3. No memory mapping: a disk that fails would end the process then, in the middle of a handshake.
4. One connection, asked by one thread at a time. A fork waits for it, so that a child finds it at
   rest; nothing is written and nothing locked, so that parent and child can share it. The path may
   be gone by then, and so it cannot be opened anew.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from holdfast.errors import CacheError, HoldfastError, PolicyError, Problem, UpdateError
from holdfast.pins.host_pins import MOST_PINS, HostPins
from holdfast.pins.pin import DIGEST_LENGTH, Pin, PinAlgorithm

__all__ = ["HostIndex", "change_index", "write_index"]

FORMAT = 1
_APPLICATION = 0x48464850  # "HFHP": what `file` and SQLite's own tools see
_SCHEMA = (
    "CREATE TABLE hosts (host TEXT PRIMARY KEY, "
    "leaf BLOB NOT NULL, backup BLOB NOT NULL, ca BLOB NOT NULL) WITHOUT ROWID"
)
_LOOK_UP = "SELECT leaf, backup, ca FROM hosts WHERE host = ?"
_NEXT = "SELECT host FROM hosts WHERE host > ? ORDER BY host LIMIT 1000"
_PUT = "INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?)"
_LONGEST = 64 * 1024  # bytes of a value; a row has 5 kB at most
_ALGORITHMS = {1: PinAlgorithm.SPKI, 2: PinAlgorithm.CERTIFICATE}
_NUMBERS = {algorithm: number for number, algorithm in _ALGORITHMS.items()}
_STEP = 1 + DIGEST_LENGTH

# One for all: a look-up takes microseconds, and a fork has to wait for each of them.
_ASKING = threading.RLock()


class HostIndex(Mapping[str, HostPins]):
    """Host pins by canonical host, read from the file one by one. Threads may share it."""

    def __init__(self, path: Path, digest: str) -> None:
        """Open a verified file.

        Args:
            path: The file. It must not be changed while this is in use, and may be removed.
            digest: Its SHA-256, in hexadecimal. Files of the same digest are equal.

        Raises:
            UpdateError: It is no such database, or holds more than it should.
            CacheError: It cannot be opened.
        """
        self.digest = digest
        self._source = path.name
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise CacheError(f"{path} cannot be opened: {error}") from error
        # Nobody closes a policy that is no longer in force.
        weakref.finalize(self, self._connection.close)
        try:
            self._restrict()
            self._check()
            self._cursor = self._connection.cursor()
        except (sqlite3.Error, CacheError) as error:
            raise UpdateError(f"{self._source} is no file of host pins: {error}") from error

    def __getitem__(self, host: str) -> HostPins:
        """Return the pins of a host.

        Raises:
            KeyError: It has none of its own.
            PolicyError: Its entry has a mistake.
            CacheError: Its entry cannot be read.
        """
        pins = self._find(host)
        if pins is None:
            raise KeyError(host)
        return pins

    def get(self, host: str, default: Any = None) -> Any:  # noqa: ANN401  as in a mapping
        """Return the pins of a host, or something else where it has none of its own."""
        pins = self._find(host)
        return default if pins is None else pins

    def _find(self, host: str) -> HostPins | None:
        try:
            with _ASKING:
                row = self._cursor.execute(_LOOK_UP, (host,)).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if row is None:
            return None
        try:
            leaf, backup, ca = row
            leaf, backup, ca = _pins(leaf), _pins(backup), _pins(ca)
            return HostPins(leaf=leaf, backup=backup, ca=ca)
        except HoldfastError as error:
            problem = Problem(ascii(host), error.message, "publish the host pins again")
            raise PolicyError([problem], source=self._source) from error

    def __iter__(self) -> Iterator[str]:
        """Yield all hosts, in the order of their names; for those who write files."""
        last = ""
        while rows := self._rows(_NEXT, last):
            for (last,) in rows:
                yield last

    def __len__(self) -> int:
        """Return how many hosts there are; it takes the time of reading all of them."""
        ((number,),) = self._rows("SELECT count(*) FROM hosts")
        return int(number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostIndex) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __bool__(self) -> bool:
        """Say that there may be some, without counting."""
        return True

    def _restrict(self) -> None:
        """Leave SQLite no more than a look-up needs: https://www.sqlite.org/security.html."""
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LONGEST)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        for setting in (
            "query_only = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "mmap_size = 0",
        ):
            self._connection.execute(f"PRAGMA {setting}").close()

    def _check(self) -> None:
        """Refuse what is no index, or more than one."""
        ((application,),) = self._rows("PRAGMA application_id")
        ((number,),) = self._rows("PRAGMA user_version")
        if application == _APPLICATION and number > FORMAT:
            raise UpdateError(
                f"{self._source} has format {number}, of a newer Holdfast",
                hint=f"upgrade; this one knows {FORMAT}",
            )
        schema = self._rows("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 2")
        if (application, number) != (_APPLICATION, FORMAT) or schema != [
            ("table", "hosts", "hosts", _SCHEMA)
        ]:
            raise UpdateError(f"{self._source} is no file of host pins")

    def _rows(self, statement: str, *values: str) -> list[Any]:
        try:
            with _ASKING:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> CacheError:
        return CacheError(f"{self._source} cannot be read: {error}")


def write_index(path: Path, hosts: Iterable[tuple[str, HostPins]]) -> None:
    """Write a file of host pins.

    Args:
        path: Where there is none yet.
        hosts: Canonical hosts, each once, and their pins; sorted by host the file is smallest.

    Raises:
        OSError: It cannot be written.
    """
    with _writing(path) as connection:
        connection.execute(f"PRAGMA application_id = {_APPLICATION}").close()
        connection.execute(f"PRAGMA user_version = {FORMAT}").close()
        connection.execute(_SCHEMA).close()
        connection.executemany(_PUT, (_row(host, pins) for host, pins in hosts)).close()


def change_index(path: Path, changes: Mapping[str, HostPins | None]) -> None:
    """Change some hosts in a file; those with None are removed. Otherwise as `write_index`."""
    rows = (_row(host, pins) for host, pins in changes.items() if pins is not None)
    gone = ((host,) for host, pins in changes.items() if pins is None)
    with _writing(path) as connection:
        connection.executemany(_PUT, rows).close()
        connection.executemany("DELETE FROM hosts WHERE host = ?", gone).close()


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            # Nobody reads it before it is whole: what a crash leaves is thrown away.
            connection.execute("PRAGMA journal_mode = OFF").close()
            connection.execute("PRAGMA synchronous = OFF").close()
            connection.execute("BEGIN").close()
            yield connection
            connection.execute("COMMIT").close()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def _row(host: str, pins: HostPins) -> tuple[str | bytes, ...]:
    return host, _bytes(pins.leaf), _bytes(pins.backup), _bytes(pins.ca)


def _bytes(pins: tuple[Pin, ...]) -> bytes:
    return b"".join(bytes([_NUMBERS[pin.algorithm]]) + pin.digest for pin in pins)


def _pins(value: object) -> tuple[Pin, ...]:
    """Read a list of pins."""
    if type(value) is not bytes or len(value) % _STEP or len(value) > MOST_PINS * _STEP:
        raise PolicyError([Problem("", "this is no list of pins", "publish it again")])
    pins = []
    for start in range(0, len(value), _STEP):
        algorithm = _ALGORITHMS.get(value[start])
        if algorithm is None:
            raise PolicyError([Problem("", "it has a pin of an unknown kind", "publish it again")])
        pins.append(Pin(algorithm, value[start + 1 : start + _STEP]))
    return tuple(pins)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_ASKING.acquire,
        after_in_parent=_ASKING.release,
        after_in_child=_ASKING.release,
    )
