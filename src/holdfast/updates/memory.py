"""What a cache must never forget: how far updates had come, and which keys are denied.

1. Each is kept in two copies with a checksum. One lost or damaged copy changes nothing.
2. Both only grow: a write keeps what the copies hold already.
3. A damaged copy is named, so that whoever reads can raise an alarm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from holdfast.errors import CacheError
from holdfast.updates.freshness import Floor
from holdfast.updates.own_files import (
    read_file,
    replace_file,
    with_checksum,
    without_checksum,
)

_LOG = logging.getLogger("holdfast.updates")
_COPIES = ("a", "b")
_LIMIT = 16 * 1024 * 1024  # bytes
_Kept = TypeVar("_Kept")
NO_FLOOR = Floor(0, 0, datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered.

    Attributes:
        floor: Nothing below is accepted.
        denied: Denied keys, as text.
        damaged: The names of the copies that are damaged, or missing beside one that is there.
    """

    floor: Floor = NO_FLOOR
    denied: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()


def read_memory(folder: Path) -> Memory:
    """Return what is remembered in a folder; write nothing.

    Raises:
        CacheError: Others could have written a copy.
        OSError: A copy is there and cannot be read.
    """
    floors, damaged_floors = _read(folder, "floor", _floor_from)
    denied, damaged_denied = _read(folder, "denied", _denied_from)
    floor = NO_FLOOR
    for one in floors:
        floor = floor.raised_by(one)
    return Memory(floor, frozenset().union(*denied), (*damaged_floors, *damaged_denied))


def raise_floor(folder: Path, floor: Floor) -> None:
    """Remember a floor, unless the one that is remembered is higher. Call it under the lock.

    Raises:
        CacheError: Others could have written a copy.
        OSError: It cannot be written.
    """
    memory = read_memory(folder)
    higher = memory.floor.raised_by(floor)
    if higher != memory.floor or _has_damage(memory, "floor"):
        _write(folder, "floor", [higher.epoch, higher.serial, higher.time.isoformat()])


def deny(folder: Path, keys: Iterable[str]) -> None:
    """Remember denied keys beside those that are remembered; otherwise as `raise_floor`.

    Raises:
        CacheError: There are more than can be kept, too; those that are remembered are kept.
    """
    memory = read_memory(folder)
    denied = memory.denied.union(keys)
    if denied != memory.denied or _has_damage(memory, "denied"):
        _write(folder, "denied", sorted(denied))


def _has_damage(memory: Memory, name: str) -> bool:
    return any(copy.startswith(f"{name}.") for copy in memory.damaged)


def _read(folder: Path, name: str, parse: Callable[[Any], _Kept]) -> tuple[list[_Kept], list[str]]:
    """Return what the good copies hold, and the names of the others."""
    good, damaged, missing = [], [], []
    for suffix in _COPIES:
        path = folder / f"{name}.{suffix}"
        try:
            good.append(parse(without_checksum(read_file(path, _LIMIT))))
        except FileNotFoundError:
            missing.append(path.name)
        except (TypeError, ValueError) as error:
            _LOG.error("%s is damaged: %s", path, error)
            damaged.append(path.name)
    # With no copy at all nothing was ever remembered, as far as one can see.
    is_new = len(missing) == len(_COPIES)
    return good, damaged if is_new else sorted(damaged + missing)


def _write(folder: Path, name: str, value: Any) -> None:  # noqa: ANN401  any JSON value
    content = with_checksum(value)
    if len(content) > _LIMIT:
        # It could not be read again, and nothing else of the cache without it.
        raise CacheError(
            f"{folder / name} would have more than {_LIMIT} bytes: too many keys are denied",
            hint="once a new epoch says what is denied, move the cache away",
        )
    for suffix in _COPIES:
        replace_file(folder / f"{name}.{suffix}", content)


def _floor_from(value: Any) -> Floor:  # noqa: ANN401  any JSON value
    epoch, serial, time = value
    return Floor(epoch, serial, datetime.fromisoformat(time))


def _denied_from(value: Any) -> frozenset[str]:  # noqa: ANN401  any JSON value
    return frozenset(value)
