"""Android's `resources.arsc`: the files that a resource stands for. Pure.

Of the table only the entry that is asked for is read, in each of its configurations: the reader of
binary XML that is in use elsewhere reads every entry, for which a table that was made for it takes
any time. The layout is that of `ResourceTypes.h` in the platform's sources.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from holdfast.errors import HoldfastError

__all__ = ["files_of"]

_STRING_POOL, _TABLE, _PACKAGE, _TYPE = 0x0001, 0x0002, 0x0200, 0x0201
_REFERENCE, _STRING, _DYNAMIC_REFERENCE = 0x01, 0x03, 0x07
_COMPLEX, _COMPACT = 0x0001, 0x0008  # flags of an entry
_SPARSE, _SHORT_OFFSETS = 0x01, 0x02  # flags of a type
_UTF8 = 0x0100  # a flag of a string pool
_NO_ENTRY, _NO_SHORT_ENTRY = 0xFFFFFFFF, 0xFFFF
_MOST = 8  # references that are followed


class _Chunk(NamedTuple):
    """A part of the table.

    Attributes:
        kind: What it is.
        start: Where it begins, in bytes.
        body: Where its header ends.
        end: Where it ends.
    """

    kind: int
    start: int
    body: int
    end: int


def files_of(table: bytes, resource: int) -> tuple[str, ...]:
    """Return the texts that a resource has, each once: for one of type `xml`, paths of files.

    Args:
        table: The content of `resources.arsc`.
        resource: Its number, as `0x7f020001`. References to other resources are followed.

    Raises:
        HoldfastError: The table cannot be read.
    """
    try:
        return _files_of(table, resource)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise HoldfastError(f"it is no table of resources that can be read: {error}") from error


def _files_of(table: bytes, resource: int) -> tuple[str, ...]:
    whole = _chunk(table, 0, len(table))
    if whole.kind != _TABLE:
        raise HoldfastError("it is no table of resources that can be read")
    parts = list(_chunks(table, whole))
    pool = next((part for part in parts if part.kind == _STRING_POOL), None)
    types = [
        (_number(table, part.start + 8, "I"), inner)
        for part in parts
        if part.kind == _PACKAGE
        for inner in _chunks(table, part)
        if inner.kind == _TYPE
    ]
    files: dict[str, None] = {}
    seen, left = {resource}, [resource]
    while left and len(seen) <= _MOST:
        wanted = left.pop()
        for package, part in types:
            if (package, table[part.start + 8]) != (wanted >> 24, wanted >> 16 & 0xFF):
                continue
            value = _value(table, part, wanted & 0xFFFF)
            if value is None:
                continue
            kind, data = value
            if kind == _STRING and pool is not None:
                files[_text(table, pool, data)] = None
            elif kind in (_REFERENCE, _DYNAMIC_REFERENCE) and data not in seen:
                seen.add(data)
                left.append(data)
    return tuple(files)


def _number(table: bytes, place: int, form: str) -> int:
    (number,) = struct.unpack_from("<" + form, table, place)
    return int(number)


def _chunk(table: bytes, place: int, limit: int) -> _Chunk:
    kind, header, size = struct.unpack_from("<HHI", table, place)
    if size < 8 or header < 8 or header > size or place + size > limit:
        raise IndexError("a part is longer than the whole")
    return _Chunk(kind, place, place + header, place + size)


def _chunks(table: bytes, around: _Chunk) -> Iterator[_Chunk]:
    place = around.body
    while place + 8 <= around.end:
        chunk = _chunk(table, place, around.end)
        yield chunk
        place = chunk.end


def _value(table: bytes, part: _Chunk, index: int) -> tuple[int, int] | None:
    """Return the kind and the data of an entry; None where this configuration has none."""
    flags = table[part.start + 9]
    count, entries = struct.unpack_from("<II", table, part.start + 12)
    offset = _offset(table, part, index, count, flags)
    if offset is None:
        return None
    place = part.start + entries + offset
    size, entry_flags, data = struct.unpack_from("<HHI", table, place)
    if place + 8 > part.end:
        raise IndexError("an entry is beyond its part")
    # Compact: the kind is in the upper half of the flags, the data where else the key is.
    if entry_flags & _COMPACT:
        return entry_flags >> 8, data
    if entry_flags & _COMPLEX:
        return None
    kind, data = struct.unpack_from("<BI", table, place + size + 3)
    return kind, data


def _offset(table: bytes, part: _Chunk, index: int, count: int, flags: int) -> int | None:
    """Return where an entry begins among those of its type."""
    if flags & _SPARSE:
        most = min(count, (part.end - part.body) // 4)
        for number, offset in struct.iter_unpack("<HH", table[part.body : part.body + 4 * most]):
            if number == index:
                return int(offset) * 4
        return None
    if index >= count:
        return None
    if flags & _SHORT_OFFSETS:
        short = _number(table, part.body + 2 * index, "H")
        return None if short == _NO_SHORT_ENTRY else short * 4
    offset = _number(table, part.body + 4 * index, "I")
    return None if offset == _NO_ENTRY else offset


def _text(table: bytes, pool: _Chunk, index: int) -> str:
    count, _, flags, start = struct.unpack_from("<IIII", table, pool.start + 8)
    if index >= count:
        raise IndexError("a text is beyond its pool")
    place = pool.start + start + _number(table, pool.body + 4 * index, "I")
    if flags & _UTF8:
        _, place = _length(table, place, "B")
        length, place = _length(table, place, "B")
        return table[place : place + length].decode("utf-8")
    length, place = _length(table, place, "H")
    return table[place : place + 2 * length].decode("utf-16-le")


def _length(table: bytes, place: int, form: str) -> tuple[int, int]:
    """Return a length, which takes one unit or two, and the place behind it."""
    bits = 8 * struct.calcsize(form)
    number, place = _number(table, place, form), place + bits // 8
    if number >> (bits - 1):
        number = (number & ~(1 << (bits - 1))) << bits | _number(table, place, form)
        place += bits // 8
    return number, place
