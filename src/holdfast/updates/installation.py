"""What a cache keeps of the installation itself: its value, and what was last told of adoption.

1. The installation value is random and never leaves the machine: a roll-out draws this client's lot
   from it, and adoption reports a digest of it that is another one each 90 days.
2. It is made when it is first needed, under the cache's lock, and stays as it is.
3. Losing either does no harm worth failing for: the lot is drawn anew, one report more is sent.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from holdfast.errors import CacheError
from holdfast.updates.own_files import read_file, replace_file, with_checksum, without_checksum

__all__ = [
    "INSTALLATION_BYTES",
    "keep_installation",
    "keep_told",
    "new_installation",
    "read_installation",
    "read_told",
]

INSTALLATION_BYTES = 16
_INSTALLATION = "installation"
_LIMIT = 4096  # bytes
_log = logging.getLogger("holdfast.updates")
_Kept = TypeVar("_Kept")


def new_installation() -> bytes:
    """Make an installation value."""
    return secrets.token_bytes(INSTALLATION_BYTES)


def read_installation(folder: Path) -> bytes | None:
    """Return the installation value that a folder keeps, if it keeps one.

    Raises:
        CacheError: It is damaged, or others could have written it; it is made anew when it is next
            needed.
        OSError: It cannot be read.
    """
    return _read(folder / _INSTALLATION, _installation_from)


def keep_installation(folder: Path, offered: bytes) -> bytes:
    """Return the installation value that a folder keeps, and keep the one that is offered if none.

    Call it under the lock.

    Raises:
        OSError: It cannot be written.
    """
    kept = _read_or_tell(folder / _INSTALLATION, _installation_from)
    if kept is None:
        kept = offered
        replace_file(folder / _INSTALLATION, with_checksum(kept.hex()))
    return kept


def read_told(folder: Path, application: str) -> tuple[datetime, str] | None:
    """Return when an application last told of its adoption, and what; None where nobody knows."""
    return _read_or_tell(folder / _name_of(application), _told_from)


def keep_told(folder: Path, application: str, time: datetime, what: str) -> None:
    """Remember when an application told of its adoption, and what. Call it under the lock.

    Raises:
        OSError: It cannot be written.
    """
    replace_file(folder / _name_of(application), with_checksum([time.isoformat(), what]))


def _name_of(application: str) -> str:
    """Return the name of a file; the end keeps it apart from the draft of another one."""
    return f"adoption-{application}.told"


def _read_or_tell(path: Path, parse: Callable[[Any], _Kept]) -> _Kept | None:
    try:
        return _read(path, parse)
    except OSError as error:
        _log.warning("%s", error)
        return None


def _read(path: Path, parse: Callable[[Any], _Kept]) -> _Kept | None:
    try:
        return parse(without_checksum(read_file(path, _LIMIT)))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise CacheError(f"{path} is damaged, and is made anew: {error}") from error


def _installation_from(value: Any) -> bytes:  # noqa: ANN401  any JSON value
    installation = bytes.fromhex(value)
    if len(installation) != INSTALLATION_BYTES:
        raise ValueError(f"it has {len(installation)} bytes")
    return installation


def _told_from(value: Any) -> tuple[datetime, str]:  # noqa: ANN401  any JSON value
    time, what = value
    told = datetime.fromisoformat(time)
    if told.utcoffset() is None or not isinstance(what, str):
        raise ValueError("it has no offset, or no text")
    return told, what
