"""From decoded TOML to `Settings`: what is set beside the policy, in `holdfast.toml`.

All mistakes are told at once, each with place and fix, as those of a policy are. Every value has a
default: no file, or an empty one, means the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.errors import CertificateError, PolicyError, Problem
from holdfast.pins.field_readers import Reader, line, list_of, moment, unknown_keys, wrong_type
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.local_exception import EXCEPTION_LIMIT, LocalException

_HOSTS = list_of(
    HostPattern.parse, HostPattern.parse("stand-in.invalid"), 'write ["api.example.com"]'
)
# Each key of an exception is required.
_FIXES = {
    "hosts": 'write hosts = ["api.example.com"]',
    "anchor": 'write anchor = "inspection-ca.pem", the file of the CA\'s certificate',
    "until": f"write a time at most {EXCEPTION_LIMIT.days} days ahead, as 2027-01-31T00:00:00Z",
    "reason": "say why it is there, and who knows of it",
}

_EXPORT_FIXES = {
    "format": 'write format = "android"',
    "file": 'write file = "app/src/main/res/xml/network_security_config.xml"',
}
_FOR_EXPORTS: dict[str, Reader[Any]] = {
    "format": line,
    "file": line,
    "pin_sets": list_of(str, "", 'write pin_sets = ["payments"]'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file in another format.

    Attributes:
        format: The name of the format.
        file: The path of the file, relative to that of the settings.
        pin_sets: The sets that it holds; all where none is named.
    """

    format: str
    file: str
    pin_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is set beside the policy.

    Attributes:
        exceptions: The local exceptions, those included that have ended.
        exports: The files in other formats that are kept in step with the policy.
    """

    exceptions: tuple[LocalException, ...] = ()
    exports: tuple[Export, ...] = ()


def settings_from_document(
    document: Mapping[str, object],
    *,
    now: datetime,
    read_anchor: Callable[[str], bytes],
    source: str | None = None,
) -> Settings:
    """Make settings from decoded TOML.

    Args:
        document: Plain data: tables, lists, text, numbers and times.
        now: The time against which the end of an exception is measured, with an offset.
        read_anchor: Turns `anchor` (a path) into a certificate in DER, or raises CertificateError.
        source: The file the document comes from, for the error.

    Raises:
        PolicyError: At least one mistake; all of them are in its problems.
    """
    problems: list[Problem] = []
    unknown_keys(document, ("exception", "export"), "", problems)
    for_exceptions: dict[str, Reader[Any]] = {
        "hosts": _HOSTS,
        "anchor": _anchor_reader(read_anchor),
        "until": _until_reader(now),
        "reason": line,
    }
    exceptions = []
    for place, entry in _tables(document, "exception", problems):
        fields = _fields(entry, place, for_exceptions, _FIXES, problems)
        if fields is not None:
            try:
                exceptions.append(LocalException(**fields))
            except PolicyError as error:
                problems += [problem.under(place) for problem in error.problems]
    exports = []
    for place, entry in _tables(document, "export", problems):
        fields = _fields(entry, place, _FOR_EXPORTS, _EXPORT_FIXES, problems)
        if fields is not None:
            exports.append(Export(**fields))
    if problems:
        raise PolicyError(problems, source=source)
    return Settings(exceptions=tuple(exceptions), exports=tuple(exports))


def _tables(
    document: Mapping[str, object], key: str, problems: list[Problem]
) -> list[tuple[str, object]]:
    """Return the tables of a list, each with its place."""
    entries = document.get(key, [])
    if not isinstance(entries, list):
        fix = f"write [[{key}]], in two brackets, and its keys below"
        problems.append(wrong_type(entries, key, "a list of tables", fix))
        return []
    return [(f"{key}[{index}]", entry) for index, entry in enumerate(entries)]


def _fields(
    entry: object,
    place: str,
    readers: Mapping[str, Reader[Any]],
    fixes: Mapping[str, str],
    problems: list[Problem],
) -> dict[str, Any] | None:
    """Read a table; a key without a fix may be left out.

    Returns:
        Its values by key, or None where there is a mistake.
    """
    if not isinstance(entry, Mapping):
        fix = f"write [[{place.partition('[')[0]}]] and its keys below"
        problems.append(wrong_type(entry, place, "a table", fix))
        return None
    found: list[Problem] = []
    meant = unknown_keys(entry, readers, "", found)
    fields: dict[str, Any] = {}
    for key, read in readers.items():
        if key in entry:
            fields[key] = read(entry[key], key, found)
        elif key not in meant and key in fixes:
            found.append(Problem(key, "the key is missing", fixes[key]))
    problems += [problem.under(place) for problem in found]
    return None if found else fields


def _anchor_reader(read_anchor: Callable[[str], bytes]) -> Reader[bytes]:
    def read(value: object, place: str, problems: list[Problem]) -> bytes | None:
        if not isinstance(value, str):
            problems.append(wrong_type(value, place, "one file", _FIXES["anchor"]))
            return None
        try:
            return read_anchor(value)
        except CertificateError as error:
            problems.append(Problem(place, error.message, error.hint or _FIXES["anchor"]))
            return None

    return read


def _until_reader(now: datetime) -> Reader[datetime]:
    def read(value: object, place: str, problems: list[Problem]) -> datetime | None:
        until = moment(value, place, problems)
        if until is not None and until - now > EXCEPTION_LIMIT:
            latest = (now + EXCEPTION_LIMIT).isoformat(timespec="seconds")
            problems.append(
                Problem(
                    place,
                    f"an exception lasts at most {EXCEPTION_LIMIT.days} days",
                    f"write a time before {latest}",
                )
            )
        return until

    return read
