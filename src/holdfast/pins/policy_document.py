"""From plain decoded data to a `Policy`; all mistakes are told at once, each with place and fix.

1. What is not understood is an error: unknown keys, wrong types, empty lists.
2. What is not understood never counts as absent: a misspelt pin does not make a set without pins.
3. One mistake gives one message: a rule that rests on a value that could not be read says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.pins.client_identity import SCHEME, ClientIdentity
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.field_readers import (
    Reader,
    choice,
    flag,
    line,
    list_of,
    moment,
    table_at,
    unknown_keys,
)
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Redirects, Require, Trust, place_of
from holdfast.pins.policy import FORMAT, OnStale, Policy, Unlisted, break_glass_problems

_STAND_IN_PIN = Pin.of_spki(b"stands where a pin could not be read")
_STAND_IN_HOST = HostPattern.parse("stand-in.invalid")
_STAND_IN_CLIENT = ClientIdentity("stand-in.invalid")
_STAND_IN_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_TABLE_FIX = "a pin set is written [pin_set.NAME], with no dots in its name"
_PINS = list_of(Pin.parse, _STAND_IN_PIN, 'write ["sha256/..."]')


def _format(value: object, place: str, problems: list[Problem]) -> int | None:
    if type(value) is int and value == FORMAT:
        return value
    fix = f"write format = {FORMAT}; a higher number needs a newer Holdfast"
    problems.append(Problem(place, "this format of the policy is not known", fix))
    return None


def denied_keys(value: object, place: str, problems: list[Problem]) -> tuple[Pin, ...] | None:
    """Read a list of denied keys, which may be empty."""
    return () if value == [] else _PINS(value, place, problems)


_HOLDFAST: dict[str, Reader[Any]] = {
    "format": _format,
    "unlisted": choice(Unlisted),
    "denied": denied_keys,
    "on_stale": choice(OnStale),
}
_REQUIRED = {
    "format": f"write format = {FORMAT}",
    "unlisted": 'write unlisted = "allow" or "refuse"',
}

_PIN_SET: dict[str, Reader[Any]] = {
    "hosts": list_of(HostPattern.parse, _STAND_IN_HOST, 'write ["api.example.com"]'),
    "mode": choice(Mode),
    "leaf": _PINS,
    "backup": _PINS,
    "ca": _PINS,
    "require": choice(Require),
    "trust": choice(Trust),
    "expires": moment,
    "on_expiry": choice(OnExpiry),
    "report_only_until": moment,
    "owner": line,
    "strict": flag,
    "single_pin": line,
    "redirects": choice(Redirects),
    "endpoints": list_of(
        Endpoint.parse, Endpoint("https", "stand-in.invalid", 443), 'write ["https://host:443"]'
    ),
    "clients": list_of(ClientIdentity, _STAND_IN_CLIENT, 'write ["spiffe://trust-domain/path"]'),
    "check_name": flag,
    "check_validity": flag,
}
# The rules of a pin set, by the place they speak of, and the other keys they rest on.
_RESTS_ON = {
    "": {"leaf", "backup", "ca", "trust"},
    "require": {"leaf", "backup", "ca"},
    "backup": {"mode", "leaf", "ca", "require", "single_pin"},
    "hosts": {"clients"},
    "anchors": {"trust"},
    "ca": {"trust"},
    "check_name": {"trust"},
    "check_validity": {"trust"},
    "report_only_until": {"strict", "trust"},
}


def policy_from_document(
    document: Mapping[str, object],
    *,
    now: datetime,
    read_anchors: Callable[[str], tuple[bytes, ...]],
    source: str | None = None,
) -> Policy:
    """Make a policy from decoded TOML or JSON.

    Args:
        document: Plain data: tables, lists, text, numbers, and times as datetime or as RFC 3339
            text.
        now: The time against which break-glass is measured, with an offset.
        read_anchors: Turns an entry of `anchors` (a path, or PEM text) into certificates in DER, or
            raises CertificateError.
        source: The file the document comes from, for the error.

    Raises:
        PolicyError: At least one mistake; all of them are in its problems.
    """
    problems: list[Problem] = []
    unknown_keys(document, ("holdfast", "pin_set"), "", problems, if_table=_TABLE_FIX)
    settings = _settings(document, problems)
    readers = _PIN_SET | {"anchors": _anchors_reader(read_anchors)}
    pin_sets = []
    for name, value in (table_at(document.get("pin_set", {}), "pin_set", problems) or {}).items():
        pin_set = _pin_set(name, value, readers, problems)
        if pin_set is not None:
            pin_sets.append(pin_set)
    policy = None
    try:
        policy = Policy(pin_sets=tuple(pin_sets), **settings)
    except PolicyError as error:
        _add_new(error.problems, problems)
    problems += break_glass_problems(tuple(pin_sets), now)
    if policy is None or problems:
        raise PolicyError(problems, source=source)
    return policy


def _settings(document: Mapping[str, object], problems: list[Problem]) -> dict[str, Any]:
    """Read the table `holdfast` into what `Policy` takes."""
    fields: dict[str, Any] = {"unlisted": Unlisted.REFUSE}
    if "holdfast" not in document:
        fix = f'write [holdfast] with format = {FORMAT} and unlisted = "allow" or "refuse"'
        problems.append(Problem("holdfast", "the table is missing", fix))
        return fields
    table = table_at(document["holdfast"], "holdfast", problems)
    if table is None:
        return fields
    meant = unknown_keys(table, _HOLDFAST, "holdfast", problems, if_table=_TABLE_FIX)
    for key, read in _HOLDFAST.items():
        place = f"holdfast.{key}"
        if key in table:
            value = read(table[key], place, problems)
            if value is not None and key != "format":
                fields[key] = value
        elif key in _REQUIRED and key not in meant:
            problems.append(Problem(place, "the key is missing", _REQUIRED[key]))
    return fields


def _anchors_reader(read_anchors: Callable[[str], tuple[bytes, ...]]) -> Reader[tuple[bytes, ...]]:
    stand_in: tuple[bytes, ...] = (b"",)
    read_all = list_of(read_anchors, stand_in, 'write ["ca.pem"]')

    def read(value: object, place: str, problems: list[Problem]) -> tuple[bytes, ...] | None:
        parts = read_all(value, place, problems)
        return None if parts is None else tuple([der for part in parts for der in part])

    return read


def _pin_set(
    name: str, value: object, readers: Mapping[str, Reader[Any]], problems: list[Problem]
) -> PinSet | None:
    """Read one set. After a problem, what is returned only serves to find more of them."""
    table = value if type(value) is dict else table_at(value, place_of(name), problems)
    if table is None:
        return None
    found: list[Problem] = []
    fields: dict[str, Any] = {}
    for key, entry in table.items():
        read = readers.get(key)
        if read is not None:
            fields[key] = read(entry, key, found)
    if len(fields) == len(table) and "mode" in fields and not found:
        # A set for clients needs no hosts.
        fields.setdefault("hosts", ())
        try:
            return PinSet(name=name, **fields)
        except PolicyError as error:
            problems += error.problems
    else:
        _explain(name, table, fields, readers, found)
        problems += [problem.under(place_of(name)) for problem in found]
    return _stand_in(name, fields)


def _explain(
    name: str,
    table: Mapping[str, object],
    fields: dict[str, Any],
    readers: Mapping[str, Reader[Any]],
    found: list[Problem],
) -> None:
    """Add what is wrong with the keys of a set, and the rules broken whatever the unread mean."""
    unsure = {key for key, value in fields.items() if value is None}
    unsure |= unknown_keys(table, readers, "", found, if_table=_TABLE_FIX)
    known = {key: value for key, value in fields.items() if value is not None}
    if "mode" not in known:
        if "mode" not in unsure:
            fix = 'write mode = "enforce" or "report-only"'
            found.append(Problem("mode", "the key is missing", fix))
        unsure.add("mode")
        known["mode"] = Mode.REPORT_ONLY
    if "hosts" in unsure or _STAND_IN_HOST in known.get("hosts", ()):
        known.pop("endpoints", None)
    # Whatever the time may be, the set has one.
    known |= dict.fromkeys(unsure & {"expires", "report_only_until"}, _STAND_IN_TIME)
    try:
        PinSet(name=name, **{"hosts": (), **known})
    except PolicyError as error:
        start = len(place_of(name))
        rules = [
            replace(problem, place=problem.place[start:].lstrip(".")) for problem in error.problems
        ]
        _add_new([rule for rule in rules if not unsure & _resting(rule.place)], found)


def _resting(place: str) -> set[str]:
    return {place} | _RESTS_ON.get(place, set())


def _stand_in(name: str, fields: Mapping[str, Any]) -> PinSet | None:
    """Return a sound set with the same hosts, so that the rules between sets can be checked."""
    try:
        # It stands in no other set.
        own_stand_in = ClientIdentity(f"{SCHEME}{_STAND_IN_CLIENT}/{name}")
        return PinSet(
            name=name,
            hosts=fields.get("hosts") or (),
            clients=(*(fields.get("clients") or ()), own_stand_in),
            mode=Mode.REPORT_ONLY,
            leaf=(_STAND_IN_PIN,),
            report_only_until=fields.get("report_only_until"),
        )
    except HoldfastError:  # its name is none
        return None


def _add_new(more: tuple[Problem, ...] | list[Problem], problems: list[Problem]) -> None:
    """Add problems at places that have none yet: what follows from a mistake is not told."""
    places = {problem.place for problem in problems}
    problems += [problem for problem in more if problem.place not in places]
