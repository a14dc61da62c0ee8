"""What each key of a policy document may hold, and how it is read.

A reader takes a decoded value, the place it stands in and the list to which it adds problems. It
returns what the value means, or None for a value that means nothing; then it has added at least one
problem. A list with bad entries keeps its length: harmless stand-ins take their places, so that
later rules neither miss nor invent mistakes. A policy with a stand-in in it is never handed out,
because there is a problem to raise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TypeVar

from holdfast.errors import HoldfastError, Problem
from holdfast.pins.pin import quoted

Value = TypeVar("Value")
Reader = Callable[[object, str, list[Problem]], Value | None]
Entry = TypeVar("Entry")
Choice = TypeVar("Choice", bound=StrEnum)

_LONGEST_GUESS = 40
_KINDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "null",
    datetime: "a time",
    date: "a date",
    time: "a time of day",
}
# RFC 3339 section 5.6 up to the seconds; `d` stands for a digit.
_TIME_SHAPE = "dddd-dd-ddTdd:dd:dd"
_OFFSET_SHAPE = "+dd:dd"
_TIME_FIX = "write it like 2027-06-30T00:00:00Z"


def suggestion(word: str, known: Collection[str]) -> str | None:
    """Return the known word that was probably meant."""
    import difflib  # only for those who make mistakes

    if len(word) > _LONGEST_GUESS:
        return None
    return next(iter(difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.7)), None)


def wrong_type(value: object, place: str, wanted: str, fix: str) -> Problem:
    """Describe a value of another type than the key takes."""
    kind = _KINDS.get(type(value), "something else")
    return Problem(place, f"this takes {wanted}, not {kind}", fix)


def table_at(value: object, place: str, problems: list[Problem]) -> Mapping[str, object] | None:
    """Read a table."""
    if isinstance(value, Mapping):
        return value
    problems.append(wrong_type(value, place, "a table", f"write [{place}] and its keys below"))
    return None


def unknown_keys(
    table: Mapping[str, object],
    known: Collection[str],
    place: str,
    problems: list[Problem],
    *,
    if_table: str | None = None,
) -> set[str]:
    """Add a problem for each key that is not known; return the keys that were probably meant.

    Args:
        table: What was decoded.
        known: The keys that it may have.
        place: Where the table stands; empty for the document.
        problems: Where problems are added.
        if_table: The fix for a table under a key that resembles none.
    """
    meant = set()
    for key, value in table.items():
        if key in known:
            continue
        guess = suggestion(key, known)
        fix = f"the keys here are {', '.join(known)}"
        if guess is not None:
            meant.add(guess)
            fix = f"did you mean {guess}?"
        elif if_table is not None and isinstance(value, Mapping):
            fix = if_table
        shown = key if key.isidentifier() and key.isascii() else quoted(key)
        inside = f"{place}.{shown}" if place else shown
        problems.append(Problem(inside, "the key is not known", fix))
    return meant


def choice(kind: type[Choice]) -> Reader[Choice]:
    """Make the reader for an enumeration."""
    members = {member.value: member for member in kind}
    options = " or ".join(f'"{value}"' for value in members)

    def read(value: object, place: str, problems: list[Problem]) -> Choice | None:
        if not isinstance(value, str):
            problems.append(wrong_type(value, place, "text", f"write {options}"))
            return None
        member = members.get(value)
        if member is None:
            meant = suggestion(value, members)
            fix = f'did you mean "{meant}"?' if meant else f"write {options}"
            problems.append(Problem(place, f"{quoted(value)} is not known here", fix))
        return member

    return read


def flag(value: object, place: str, problems: list[Problem]) -> bool | None:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    problems.append(
        wrong_type(value, place, "true or false", "write true or false, without quotes")
    )
    return None


def line(value: object, place: str, problems: list[Problem]) -> str | None:
    """Read text for people, on one line."""
    if not isinstance(value, str):
        problems.append(wrong_type(value, place, "text", "write it in quotes"))
    elif not value.strip():
        problems.append(Problem(place, "it is empty", "remove it, or fill it"))
    elif not value.isprintable():
        fix = "write it on one line, without control characters"
        problems.append(Problem(place, f"{quoted(value)} cannot be shown", fix))
    else:
        return value
    return None


def moment(value: object, place: str, problems: list[Problem]) -> datetime | None:
    """Read a time with an offset: a TOML offset date-time, or text as in RFC 3339."""
    result = _from_rfc3339(value) if isinstance(value, str) else value
    if isinstance(result, datetime):
        if result.utcoffset() is None:
            problems.append(Problem(place, "the time has no offset", "write it with Z or +hh:mm"))
        elif not _is_a_time_in_utc(result):
            problems.append(Problem(place, f"{quoted(str(value))} is out of range", _TIME_FIX))
        else:
            return result
    elif isinstance(value, str):
        problems.append(Problem(place, f"{quoted(value)} is not a time", _TIME_FIX))
    elif isinstance(value, date):
        problems.append(Problem(place, "a date alone is not a point in time", _TIME_FIX))
    else:
        problems.append(wrong_type(value, place, "a time", _TIME_FIX))
    return None


def _is_a_time_in_utc(time: datetime) -> bool:
    """Tell whether a time can be shown in UTC: its offset may lead out of the years 1 to 9999."""
    try:
        time.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _from_rfc3339(text: str) -> datetime | None:
    """Read RFC 3339; what else ISO 8601 allows (weeks, no separators, `24:00`) is no time here."""
    end = len(_TIME_SHAPE)
    shown = text.upper()
    if not text.isascii() or not _has_shape(shown[:end], _TIME_SHAPE):
        return None
    if shown[end : end + 1] == ".":
        end += 1
        start = end
        while shown[end : end + 1].isdigit():
            end += 1
        if end == start:
            return None
    offset = shown[end:].replace("-", "+")
    if offset not in ("", "Z") and not _has_shape(offset, _OFFSET_SHAPE):
        return None
    try:
        # Some Pythons read 24:00 as the next day, and +00:60 as +01:00; RFC 3339 does not.
        is_beyond = shown[11:13] == "24" or offset[4:] > "59"
        return None if is_beyond else datetime.fromisoformat(shown)
    except ValueError:
        return None


def _has_shape(text: str, shape: str) -> bool:
    return len(text) == len(shape) and all(
        character.isdigit() if expected == "d" else character == expected
        for character, expected in zip(text, shape, strict=True)
    )


def list_of(parse: Callable[[str], Entry], stand_in: Entry, fix: str) -> Reader[tuple[Entry, ...]]:
    """Make the reader for a list of texts, each of which `parse` understands."""

    def read(value: object, place: str, problems: list[Problem]) -> tuple[Entry, ...] | None:
        if not isinstance(value, list):
            problems.append(wrong_type(value, place, "a list", fix))
            return None
        if not value:
            # Nobody means "no pins" or "no hosts": a template went wrong.
            problems.append(Problem(place, "the list is empty", f"remove the key, or {fix}"))
            return None
        entries = []
        for index, item in enumerate(value):
            if isinstance(item, str):
                try:
                    entries.append(parse(item))
                    continue
                except HoldfastError as error:
                    problem = Problem.of(f"{place}[{index}]", error, fix)
            else:
                problem = wrong_type(item, f"{place}[{index}]", "text", fix)
            problems.append(problem)
            entries.append(stand_in)
        return tuple(entries)

    return read
