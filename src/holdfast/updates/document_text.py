"""From the bytes of a document to checked fields, and how large each document may be. Pure.

1. The limits are looked at before anything is parsed: whoever has stolen one signing key cannot
   fill the memory of clients. A hundred thousand hosts with two pins each, an owner and times of
   their own, stay below all of them.
2. Of a million mistakes a hundred are told, and what would take minutes to go over is refused.
3. The format is looked at before the rest, which means something else in another format.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from holdfast.errors import PolicyError, Problem, UnknownFormatError
from holdfast.pins.decode_document import decode_document
from holdfast.pins.field_readers import Reader, unknown_keys, wrong_type

__all__ = [
    "MAX_BUNDLE_BYTES",
    "MAX_DEPTH",
    "MAX_KEYS",
    "MAX_LIST_BYTES",
    "MAX_NAMES",
    "MAX_PINS",
    "MAX_PROBLEMS",
    "MAX_SERIAL",
    "MAX_TOKENS",
    "decoded",
    "encoded",
    "policy_size_problems",
    "read_fields",
    "read_serial",
    "read_table",
    "refusal",
    "refuse_newer",
    "size_problems",
    "too_many_keys",
]

FORMAT = 1
MAX_BUNDLE_BYTES = 64 * 1024 * 1024  # as a policy in a file; 100,000 hosts take 29 MB
MAX_LIST_BYTES = 1024 * 1024  # 19,000 denied keys
MAX_DEPTH = 8  # a bundle with a candidate has six levels
MAX_PINS = 500_000
MAX_NAMES = 500_000  # hosts, endpoints, clients and anchors together
MAX_KEYS = 64  # of one table, but for the table of all pin sets; a set has 21
MAX_PROBLEMS = 100  # told at once
# Quotes, commas and opening brackets. Each value takes two of them, and at most 80 bytes as a
# Python object beside its text. 100,000 sets with seven keys each have four million.
MAX_TOKENS = 10_000_000
MAX_SERIAL = 2**63 - 1  # what databases and other languages count to

_FIX = "publish a smaller policy"
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def decoded(data: bytes, limit: int, source: str) -> dict[str, object]:
    """Decode a document whose size is harmless and whose format is known.

    Args:
        data: The document.
        limit: The bytes that it may have.
        source: Which one it is, for errors.

    Raises:
        UnknownFormatError: It is in the format of a newer Holdfast.
        PolicyError: It is beyond a limit, or no JSON object.
    """
    problems = size_problems(data, limit)
    if problems:
        raise PolicyError(problems, source=source)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = Problem("", f"it is not UTF-8 (at byte {error.start})", "publish it again")
        raise PolicyError([problem], source=source) from None
    document = decode_document(text, "json", source=source)
    refuse_newer(document, FORMAT, "format", source)
    if len(document) > MAX_KEYS:
        raise PolicyError([too_many_keys("")], source=source)
    return document


def encoded(document: Mapping[str, object], limit: int, source: str) -> bytes:
    """Write a document in its only text.

    Args:
        document: Its keys but for `format`.
        limit: The bytes that it may have.
        source: What it is, for the error.

    Raises:
        PolicyError: It is beyond a limit.
    """
    text = json.dumps({"format": FORMAT, **document}, sort_keys=True, separators=(",", ":"))
    data = text.encode("ascii")
    problems = size_problems(data, limit)
    if problems:
        raise PolicyError(problems, source=source)
    return data


def read_fields(
    document: Mapping[str, object],
    readers: Mapping[str, Reader[Any]],
    problems: list[Problem],
    *,
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """Read the keys of a document, each of which is required unless it is optional."""
    return read_table(document, {"format": _format, **readers}, problems, optional=optional)


def read_table(
    table: Mapping[str, object],
    readers: Mapping[str, Reader[Any]],
    problems: list[Problem],
    *,
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """Read the keys of a table in a document; otherwise as `read_fields`."""
    meant = unknown_keys(table, readers, "", problems)
    fields: dict[str, Any] = {}
    for key, read in readers.items():
        if key in table:
            fields[key] = read(table[key], key, problems)
        elif key not in meant and key not in optional:
            problems.append(Problem(key, "the key is missing", "publish the document again"))
    return fields


def read_serial(value: object, place: str, problems: list[Problem]) -> int | None:
    """Read a serial."""
    fix = "write a whole number from 1 to 2^63 - 1, higher with each document"
    if type(value) is not int:
        problems.append(wrong_type(value, place, "a whole number", fix))
    elif not 1 <= value <= MAX_SERIAL:
        problems.append(Problem(place, "the serial is out of range", fix))
    else:
        return value
    return None


def refuse_newer(table: object, known: int, place: str, source: str) -> None:
    """Raise UnknownFormatError if a table has a higher format than the known one."""
    number = table.get("format") if isinstance(table, Mapping) else None
    if type(number) is int and number > known:
        problem = Problem(
            place, f"format {number} is of a newer Holdfast", f"upgrade; this one knows {known}"
        )
        raise UnknownFormatError([problem], source=source)


def size_problems(data: bytes, limit: int) -> list[Problem]:
    """Find what makes a JSON document dangerous to parse: bytes, values, depth.

    Args:
        data: The document; it need not be JSON at all.
        limit: The bytes that it may have.
    """
    if len(data) > limit:
        return [Problem("", f"it has {len(data)} bytes, more than {limit}", _FIX)]
    if sum(map(data.count, (b'"', b",", b"[", b"{"))) > MAX_TOKENS:
        return [Problem("", f"it has more than {MAX_TOKENS} quotes, commas and brackets", _FIX)]
    if _is_deeper_than(MAX_DEPTH, data):
        fix = "publish it again"
        return [Problem("", f"it is nested more than {MAX_DEPTH} levels deep, or no JSON", fix)]
    return []


def policy_size_problems(policy: Mapping[str, object], place: str = "policy") -> list[Problem]:
    """Find too many pins, names or keys in a policy document, before one of them is read.

    Args:
        policy: The decoded document.
        place: Where it stands.
    """
    pin_sets = policy.get("pin_set")
    sets = list(pin_sets.values()) if isinstance(pin_sets, Mapping) else []
    tables = [one for one in (*sets, policy.get("holdfast")) if isinstance(one, Mapping)]
    if max(map(len, (policy, *tables))) > MAX_KEYS:
        return [too_many_keys(place)]
    problems = []
    for what, limit, keys in (
        ("pins", MAX_PINS, ("leaf", "backup", "ca", "denied")),
        ("names and anchors", MAX_NAMES, ("hosts", "endpoints", "clients", "anchors")),
    ):
        lists = [table.get(key) for table in tables for key in keys]
        count = sum(len(entries) for entries in lists if isinstance(entries, list))
        if count > limit:
            problems.append(Problem(place, f"it has {count} {what}, more than {limit}", _FIX))
    return problems


def refusal(problems: list[Problem], source: str) -> PolicyError:
    """Return the error for problems, as many of them as can be read."""
    told = problems[:MAX_PROBLEMS]
    if more := len(problems) - len(told):
        told.append(Problem("", f"there are {more} more problems", "mend these first"))
    return PolicyError(told, source=source)


def too_many_keys(place: str) -> Problem:
    """Describe a table with more keys than any has, before they are gone over."""
    return Problem(place, f"a table in it has more than {MAX_KEYS} keys", "publish it again")


def _is_deeper_than(limit: int, data: bytes) -> bool:
    """Tell whether brackets outside of JSON texts are nested deeper, or do not pair."""
    # Without escapes, each second piece between quotes is a text.
    pieces = data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    brackets = b"".join(pieces).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")  # one level, the innermost, of all
    return bool(brackets)


def _format(value: object, place: str, problems: list[Problem]) -> int | None:
    if type(value) is int and value == FORMAT:
        return value
    problems.append(Problem(place, "this is no format of an update", f"write {FORMAT}"))
    return None
