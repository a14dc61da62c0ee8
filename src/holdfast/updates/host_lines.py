"""Host pins as people and their programs write them: a JSON object on each line.

    {"host": "a.example.com", "leaf": ["sha256/..."], "backup": ["sha256/..."]}
    {"host": "b.example.com", "remove": true}          where changes are given

Every mistake is told with its line, a hundred of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.pins.decode_document import decode_document
from holdfast.pins.field_readers import wrong_type
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.host_pins import HostPins, read_host_pins
from holdfast.updates.document_text import MAX_PROBLEMS

__all__ = ["read_host_lines"]

_LONGEST = 16 * 1024  # bytes of a line; one with as many pins as a host may have takes 2 kB
_FIX = 'write {"host": "a.example.com", "leaf": ["sha256/..."], "backup": ["sha256/..."]}'

FitsPolicy = Callable[[str, HostPins], list[Problem]]


def read_host_lines(
    lines: Iterable[bytes], *, fits: FitsPolicy, changes: bool, source: str
) -> dict[str, HostPins | None]:
    """Read host pins.

    Args:
        lines: Each with or without its line break.
        fits: Says what stands against the pins of a canonical host, with places that begin there.
        changes: Whether hosts may be removed.
        source: The file they come from, for errors.

    Returns:
        The pins by canonical host, None for one that is to be removed.

    Raises:
        PolicyError: At least one mistake.
    """
    hosts: dict[str, HostPins | None] = {}
    line_of: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        found: list[Problem] = []
        read = _read_line(line, found, changes=changes)
        if read is not None:
            host, pins = read
            if host in line_of:
                message = f"{host} stands in line {line_of[host]} already"
                found.append(Problem("", message, "keep one of them"))
            elif pins is not None:
                found += fits(host, pins)
            line_of.setdefault(host, number)
            hosts[host] = pins
        problems += [problem.under(f"line {number}") for problem in found]
        if len(problems) > MAX_PROBLEMS:
            problems[MAX_PROBLEMS:] = [Problem("", "there are more problems", "mend these first")]
            break
    if not hosts and not problems:
        problems.append(Problem("", "it names no host", _FIX))
    if problems:
        raise PolicyError(problems, source=source)
    return hosts


def _read_line(
    line: bytes, found: list[Problem], *, changes: bool
) -> tuple[str, HostPins | None] | None:
    """Return a host and its pins; None where something is wrong, which is then among `found`."""
    if len(line) > _LONGEST:
        found.append(Problem("", f"it has more than {_LONGEST} bytes", _FIX))
        return None
    try:
        entry = dict(decode_document(line.decode("utf-8"), "json"))
    except UnicodeDecodeError as error:
        found.append(Problem("", f"it is not UTF-8 (at byte {error.start})", _FIX))
        return None
    except PolicyError as error:
        found += error.problems
        return None
    host = _host(entry, found)
    if changes and entry.get("remove") is True and len(entry) == 1:
        return None if host is None else (host, None)
    pins = read_host_pins(entry, "", found)
    return None if host is None or pins is None else (host, pins)


def _host(entry: dict[str, object], found: list[Problem]) -> str | None:
    """Take the host out of an entry."""
    if "host" not in entry:
        found.append(Problem("host", "the key is missing", _FIX))
        return None
    text = entry.pop("host")
    if not isinstance(text, str):
        found.append(wrong_type(text, "host", "text", _FIX))
        return None
    try:
        return canonical_host(text)
    except HoldfastError as error:
        found.append(Problem("host", error.message, error.hint or _FIX))
        return None
