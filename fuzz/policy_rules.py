"""The rules of a policy, written a second time: on plain data, and by other means.

`fuzz/policy.py` compares. Objects are `Table`s, which keep every pair, so that nothing is lost
before a rule sees it. A rule that is broken gives its name; the place and the fix are not repeated
here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from host_names import covers, second_reading, second_reading_of_pattern
from pin_text import second_reading as pin_reading

ACCEPTED = "I accept lock-out"
ANCHORS = {"root.pem": 1, "two.pem": 2}
NOW = datetime(2026, 11, 1, tzinfo=UTC)

_CHOICES = {
    "mode": {"enforce", "report-only"},
    "require": {"leaf-or-ca", "leaf-and-ca"},
    "trust": {"public", "private", "pins-only"},
    "on_expiry": {"enforce", "report-only", "allow"},
    "redirects": {"pinned-only", "any"},
    "unlisted": {"refuse", "report-only", "allow"},
    "on_stale": {"enforce", "report-only", "refuse"},
}
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]((?!24)\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII
)
_SPIFFE_ID = re.compile(
    r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)*", re.ASCII
)
_PORTS = {"https": 443, "smtp": 25, "imap": 143, "pop3": 110, "ftp": 21}
_ENDPOINT = re.compile(r"(?:(?P<scheme>[^@]*?)://)?(?P<place>[^@]*?)/?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[.*?\]):(.*)|((?!\[)[^:]*):([^:]*)", re.DOTALL)


class Table(list[tuple[str, Any]]):
    """An object as the pairs that stand in it."""


class Moment(str):
    """A time: bare in TOML, where it is no text; in JSON it is text like any other."""

    __slots__ = ()


def broken_rules(document: object) -> set[str]:
    """Return the names of the rules that a document breaks."""
    return set(_document(document))


def _document(document: object) -> Iterator[str]:
    if not isinstance(document, Table):
        yield "an object"
        return
    if _repeats_a_key(document):
        yield "a key once"
    tables = dict(document)
    if tables.keys() - {"holdfast", "pin_set"}:
        yield "known keys"
    yield from _settings(tables.get("holdfast"))
    pin_sets = tables.get("pin_set", Table())
    if not isinstance(pin_sets, Table):
        yield "a table"
        return
    patterns: list[object] = []
    clients: list[object] = []
    for name, value in pin_sets:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            yield "the name of a set"
        if isinstance(value, Table):
            yield from _pin_set(dict(value))
            patterns += map(second_reading_of_pattern, _texts(dict(value).get("hosts")))
            clients += map(client, _texts(dict(value).get("clients")))
        else:
            yield "a table"
    if len(set(patterns)) < len(patterns):
        yield "a pattern once"
    if len(set(clients)) < len(clients):
        yield "a client once"


def _repeats_a_key(value: object) -> bool:
    if isinstance(value, Table):
        return len(dict(value)) < len(value) or any(_repeats_a_key(inner) for _, inner in value)
    return isinstance(value, list) and any(map(_repeats_a_key, value))


def _settings(value: object) -> Iterator[str]:
    if not isinstance(value, Table):
        yield "the settings"
        return
    table = dict(value)
    if table.keys() - {"format", "unlisted", "denied", "on_stale"}:
        yield "known keys"
    if type(table.get("format")) is not int or table["format"] != 1:
        yield "the format"
    for key, needed in (("unlisted", True), ("on_stale", False)):
        if (needed or key in table) and not _is_choice(key, table.get(key)):
            yield key
    entries = table.get("denied", [])
    denied = [pin_reading(text) for text in _texts(entries)]
    is_list_of_pins = entries == [] or _list_of(pin_reading)(entries)
    if not is_list_of_pins or any(pin and pin[0] != "sha256" for pin in denied):
        yield "denied"
    if len(set(denied)) < len(denied):
        yield "a pin once"


def _pin_set(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key not in _READERS or not _READERS[key](value):
            yield key
    if "mode" not in table:
        yield "mode"
    yield from _pin_rules(table)
    yield from _trust_rules(table)
    yield from _time_rules(table)
    hosts = [second_reading_of_pattern(text) for text in _texts(table.get("hosts"))]
    if not hosts and not _texts(table.get("clients")):
        yield "hosts or clients"
    for text in _texts(table.get("endpoints")):
        read = endpoint(text)
        if read and not any(host and covers(*host, read[1]) for host in hosts):
            yield "endpoints are of the set"


def _pin_rules(table: dict[str, Any]) -> Iterator[str]:
    leaf, backup, ca = (
        [pin_reading(text) for text in _texts(table.get(key))] for key in ("leaf", "backup", "ca")
    )
    pins = leaf + backup + ca
    is_private = table.get("trust") == "private"
    if len(set(pins)) < len(pins):
        yield "a pin once"
    if not pins and not is_private:
        yield "pins"
    needs_both = table.get("require") == "leaf-and-ca"
    if needs_both and not ((leaf or backup) and ca):
        yield "require"
    if table.get("trust") == "pins-only" and ca:
        yield "no CA in pins-only trust"
    ways_out = [bool(leaf and backup), len(ca) >= 2]
    has_way_out = all(ways_out) if needs_both else any(ways_out)
    is_accepted = is_private or table.get("single_pin") == ACCEPTED
    if table.get("mode") == "enforce" and not has_way_out and not is_accepted:
        yield "two pins"


def _trust_rules(table: dict[str, Any]) -> Iterator[str]:
    trust = table.get("trust", "public")
    if (trust == "private") != ("anchors" in table):
        yield "anchors"
    if trust != "pins-only" and table.keys() & {"check_name", "check_validity"}:
        yield "checks"
    if "report_only_until" in table and (table.get("strict") is True or trust != "public"):
        yield "break-glass"


def _time_rules(table: dict[str, Any]) -> Iterator[str]:
    if ("expires" in table) != ("on_expiry" in table):
        yield "on_expiry"
    until = moment(table.get("report_only_until"))
    if until is not None and until > NOW + timedelta(days=7):
        yield "break-glass ends"


def moment(value: object) -> datetime | None:
    """Read RFC 3339; None: it is none, or not between the years 1 and 9999 in UTC."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    date, time, fraction, offset = match.groups()
    zone = "+0000" if offset in "Zz" else offset.replace(":", "")
    try:
        read = datetime.strptime(f"{date}T{time}{zone}", "%Y-%m-%dT%H:%M:%S%z")
        # What is finer than a microsecond is cut off.
        return read.astimezone(UTC) + timedelta(microseconds=int(f"{fraction or '.0'}000000"[1:7]))
    except (ValueError, OverflowError):
        return None


def endpoint(text: str) -> tuple[str, str, int] | None:
    """Read `[SCHEME://]HOST[:PORT]`; None: refused."""
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        return None
    scheme = "https" if match["scheme"] is None else match["scheme"].lower()
    split = _HOST_AND_PORT.fullmatch(match["place"])
    host = second_reading((split[1] or split[3] or "") if split else match["place"])
    if host is None or scheme not in _PORTS:
        return None
    if split is None:
        return scheme, host, _PORTS[scheme]
    port = (split[2] if split[1] else split[4]) or ""
    is_port = re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536
    return (scheme, host, int(port)) if is_port else None


def _is_choice(key: str, value: object) -> bool:
    return isinstance(value, str) and value in _CHOICES[key]


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or isinstance(value, Table):
        return []
    return [entry for entry in value if type(entry) is str]


def _is_line(value: object) -> bool:
    return type(value) is str and value.isprintable() and value.strip() != ""


def client(text: str) -> str | None:
    """Read an entry of `clients`; None: refused."""
    if "://" in text:
        return text if _SPIFFE_ID.fullmatch(text) and len(text) <= 2048 else None
    host = second_reading(text)
    is_name = host is not None and re.search(r":|(^|\.)[0-9]+\Z", host) is None
    return host if is_name else None


def _list_of(read: Callable[[str], object]) -> Callable[[object], bool]:
    """Return the test for a list that is not empty, of texts that all mean something."""

    def test(value: object) -> bool:
        texts = _texts(value)
        return isinstance(value, list) and 0 < len(value) == len(texts) and all(map(read, texts))

    return test


# Whether a value, looked at alone, is one that the key of a set may have.
_READERS: dict[str, Callable[[Any], bool]] = {
    "hosts": _list_of(second_reading_of_pattern),
    "leaf": _list_of(pin_reading),
    "backup": _list_of(pin_reading),
    "ca": _list_of(pin_reading),
    "endpoints": _list_of(endpoint),
    "clients": _list_of(client),
    "anchors": _list_of(ANCHORS.get),
    "expires": lambda value: moment(value) is not None,
    "report_only_until": lambda value: moment(value) is not None,
    "owner": _is_line,
    "single_pin": lambda value: isinstance(value, str) and value == ACCEPTED,
    **{
        key: lambda value: isinstance(value, bool)
        for key in ("strict", "check_name", "check_validity")
    },
    **{
        key: partial(_is_choice, key)
        for key in ("mode", "require", "trust", "on_expiry", "redirects")
    },
}
