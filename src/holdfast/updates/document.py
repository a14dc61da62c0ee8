"""The documents that signed updates carry, from bytes and back: bundle, deny list, break-glass.

    pins/bundle.json, policy/bundle.json
        {"format": 1, "serial": 7, "issued": "2026-11-01T00:00:00Z", "refresh_seconds": 900,
         "policy": {"holdfast": {...}, "pin_set": {...}}}
        and, while a policy is rolled out in steps (pins/bundle.json only; see `roll_out`),
        "candidate": {"basis_points": 250, "policy": {...}, "salt": "..."}
    emergency/deny.json
        {"format": 1, "serial": 3, "denied": ["sha256/..."]}
    breakglass/sets.json
        {"format": 1, "serial": 2, "until": {"payments": "2026-11-05T00:00:00Z"}}

1. A good signature does not make a document harmless: sizes are looked at before it is parsed, and
   it is read as strictly as a policy from a file, all mistakes told at once.
2. A document in the format of a newer Holdfast is told from a broken one, so that the last good one
   can be kept without an alarm that means an attack.
3. What is written is canonical JSON (sorted keys, no white space, ASCII): an equal document has
   equal bytes. What could not be read back because of a limit is not written.
4. `issued` is shown to people and never compared: whoever signs may write any year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.pem import certificate_text, is_inline_certificate
from holdfast.errors import CertificateError, PolicyError, Problem
from holdfast.pins.field_readers import Reader, moment, table_at, wrong_type
from holdfast.pins.pin import Pin, quoted
from holdfast.pins.policy import FORMAT as POLICY_FORMAT
from holdfast.pins.policy import Policy, denied_problems
from holdfast.pins.policy_document import denied_keys, policy_from_document
from holdfast.pins.policy_writer import policy_to_document, time_text
from holdfast.updates.document_text import (
    MAX_BUNDLE_BYTES,
    MAX_KEYS,
    MAX_LIST_BYTES,
    decoded,
    encoded,
    policy_size_problems,
    read_fields,
    read_serial,
    read_table,
    refusal,
    refuse_newer,
    too_many_keys,
)
from holdfast.updates.roll_out import (
    Candidate,
    in_order_of_names,
    read_basis_points,
    read_salt,
    salt_text,
)

__all__ = [
    "BREAK_GLASS_TARGET",
    "DENY_TARGET",
    "PINS_TARGET",
    "POLICY_TARGET",
    "BreakGlass",
    "Bundle",
    "DenyList",
    "break_glass_from_bytes",
    "break_glass_to_bytes",
    "bundle_from_bytes",
    "bundle_to_bytes",
    "deny_list_from_bytes",
    "deny_list_to_bytes",
]

PINS_TARGET = "pins/bundle.json"
POLICY_TARGET = "policy/bundle.json"
DENY_TARGET = "emergency/deny.json"
BREAK_GLASS_TARGET = "breakglass/sets.json"

# Shorter, and all clients of a stolen key would storm their server; longer, and they would sleep.
MIN_REFRESH = timedelta(minutes=1)
MAX_REFRESH = timedelta(days=7)
_SECOND = timedelta(seconds=1)


def _refresh(value: object, place: str, problems: list[Problem]) -> timedelta | None:
    """Read a number of seconds."""
    lowest, highest = MIN_REFRESH // _SECOND, MAX_REFRESH // _SECOND
    fix = f"write a whole number of seconds from {lowest} to {highest}"
    if type(value) is not int:
        problems.append(wrong_type(value, place, "a whole number", fix))
    elif not lowest <= value <= highest:
        problems.append(Problem(place, "the time between refreshes is out of range", fix))
    else:
        return timedelta(seconds=value)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A whole policy, and what a client must know to follow it.

    Attributes:
        serial: 1 to 2^63 - 1; within an epoch a higher one replaces a lower one.
        issued: When it was made, with an offset; only ever shown.
        refresh: How long a client should wait before it asks again; whole seconds.
        policy: The stable one. Its sets stand in the order of their names, since canonical JSON has
            no other.
        candidate: What some clients follow instead, if there is one.

    Raises:
        PolicyError: A value is out of range.
    """

    serial: int
    issued: datetime
    refresh: timedelta
    policy: Policy
    candidate: Candidate | None = None

    def __post_init__(self) -> None:
        """Check the ranges and sort the sets."""
        problems: list[Problem] = []
        read_serial(self.serial, "serial", problems)
        moment(self.issued, "issued", problems)
        seconds, rest = divmod(self.refresh, _SECOND)
        _refresh(0 if rest else seconds, "refresh_seconds", problems)
        if problems:
            raise PolicyError(problems, source="bundle")
        object.__setattr__(self, "policy", in_order_of_names(self.policy))


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyList:
    """Keys that are never accepted; empty where nothing has happened.

    Raises:
        PolicyError: The serial is out of range, or an entry is not a key pin.
    """

    serial: int
    denied: frozenset[Pin] = frozenset()

    def __post_init__(self) -> None:
        """Check each rule."""
        problems: list[Problem] = []
        read_serial(self.serial, "serial", problems)
        problems += denied_problems(tuple(sorted(self.denied, key=str)))
        if problems:
            raise PolicyError(problems, source="deny list")


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """The sets, by name, that are report-only for a while, and until when (with an offset).

    How far ahead an end may lie depends on the time of the decision: see `effective_policy`.

    Raises:
        PolicyError: The serial is out of range, or a time has no offset.
    """

    serial: int
    until: Mapping[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check each rule, and see to it that nobody changes the times."""
        problems: list[Problem] = []
        read_serial(self.serial, "serial", problems)
        until = _until(self.until, "until", problems)
        if problems:
            raise PolicyError(problems, source="break-glass")
        object.__setattr__(self, "until", MappingProxyType(until or {}))


def bundle_from_bytes(data: bytes, *, now: datetime, source: str = PINS_TARGET) -> Bundle:
    """Read a bundle.

    Args:
        data: The whole document, whose signature has been verified.
        now: The time against which break-glass in the policy is measured, with an offset.
        source: Which document it is, for errors.

    Raises:
        UnknownFormatError: It, or its policy, is in a format of a newer Holdfast.
        PolicyError: It is too large, or has a mistake; every mistake is in its problems.
    """
    document = decoded(data, MAX_BUNDLE_BYTES, source)
    problems: list[Problem] = []
    readers: dict[str, Reader[Any]] = {
        "serial": read_serial,
        "issued": moment,
        "refresh_seconds": _refresh,
        "policy": table_at,
        "candidate": table_at,
    }
    fields = read_fields(document, readers, problems, optional={"candidate"})
    policy = _policy(fields.get("policy"), "policy", problems, now=now, source=source)
    table, candidate = fields.get("candidate"), None
    if table is not None:
        candidate = _candidate(table, problems, now=now, source=source)
    if problems or policy is None:
        raise refusal(problems, source)
    return Bundle(
        serial=fields["serial"],
        issued=fields["issued"],
        refresh=fields["refresh_seconds"],
        policy=policy,
        candidate=candidate,
    )


def bundle_to_bytes(bundle: Bundle) -> bytes:
    """Write a bundle.

    Raises:
        PolicyError: It would be beyond a limit, so that no client could read it.
    """
    document: dict[str, object] = {
        "serial": bundle.serial,
        "issued": time_text(bundle.issued),
        "refresh_seconds": bundle.refresh // _SECOND,
        "policy": _policy_table(bundle.policy, "policy"),
    }
    if (candidate := bundle.candidate) is not None:
        document["candidate"] = {
            "basis_points": candidate.basis_points,
            "policy": _policy_table(candidate.policy, "candidate.policy"),
            "salt": salt_text(candidate.salt),
        }
    return encoded(document, MAX_BUNDLE_BYTES, "bundle")


def deny_list_from_bytes(data: bytes, *, source: str = DENY_TARGET) -> DenyList:
    """Read a deny list.

    Raises:
        UnknownFormatError: It is in a format of a newer Holdfast.
        PolicyError: It is too large, or has a mistake; every mistake is in its problems.
    """
    document = decoded(data, MAX_LIST_BYTES, source)
    problems: list[Problem] = []
    fields = read_fields(document, {"serial": read_serial, "denied": _denied}, problems)
    if problems:
        raise refusal(problems, source)
    return DenyList(serial=fields["serial"], denied=frozenset(fields["denied"]))


def deny_list_to_bytes(deny: DenyList) -> bytes:
    """Write a deny list.

    Raises:
        PolicyError: It would be beyond a limit.
    """
    document = {"serial": deny.serial, "denied": sorted(map(str, deny.denied))}
    return encoded(document, MAX_LIST_BYTES, "deny list")


def break_glass_from_bytes(data: bytes, *, source: str = BREAK_GLASS_TARGET) -> BreakGlass:
    """Read which sets are report-only for a while.

    Raises:
        UnknownFormatError: It is in a format of a newer Holdfast.
        PolicyError: It is too large, or has a mistake; every mistake is in its problems.
    """
    document = decoded(data, MAX_LIST_BYTES, source)
    problems: list[Problem] = []
    fields = read_fields(document, {"serial": read_serial, "until": _until}, problems)
    if problems:
        raise refusal(problems, source)
    return BreakGlass(serial=fields["serial"], until=fields["until"])


def break_glass_to_bytes(break_glass: BreakGlass) -> bytes:
    """Write which sets are report-only for a while.

    Raises:
        PolicyError: It would be beyond a limit.
    """
    until = {name: time_text(time) for name, time in break_glass.until.items()}
    return encoded({"serial": break_glass.serial, "until": until}, MAX_LIST_BYTES, "break-glass")


def _policy(
    table: Mapping[str, object] | None,
    place: str,
    problems: list[Problem],
    *,
    now: datetime,
    source: str,
) -> Policy | None:
    """Read the policy that stands in a bundle at a place."""
    if table is None:
        return None
    refuse_newer(table.get("holdfast"), POLICY_FORMAT, f"{place}.holdfast.format", source)
    if too_many := policy_size_problems(table, place):
        raise PolicyError(too_many, source=source)
    try:
        return policy_from_document(table, now=now, read_anchors=_inline_anchor)
    except PolicyError as error:
        problems += [problem.under(place) for problem in error.problems]
        return None


def _candidate(
    table: Mapping[str, object], problems: list[Problem], *, now: datetime, source: str
) -> Candidate | None:
    readers: dict[str, Reader[Any]] = {
        "basis_points": read_basis_points,
        "policy": table_at,
        "salt": read_salt,
    }
    if len(table) > MAX_KEYS:
        raise PolicyError([too_many_keys("candidate")], source=source)
    found: list[Problem] = []
    fields = read_table(table, readers, found)
    problems += [problem.under("candidate") for problem in found]
    policy = _policy(fields.get("policy"), "candidate.policy", problems, now=now, source=source)
    if found or policy is None:
        return None
    return Candidate(policy=policy, basis_points=fields["basis_points"], salt=fields["salt"])


def _policy_table(policy: Policy, place: str) -> Mapping[str, object]:
    table = policy_to_document(policy, write_anchor=certificate_text)
    if too_many := policy_size_problems(table, place):
        raise PolicyError(too_many, source="bundle")
    return table


def _denied(value: object, place: str, problems: list[Problem]) -> tuple[Pin, ...] | None:
    found: list[Problem] = []
    denied = denied_keys(value, place, found)
    problems += found or denied_problems(denied or ())
    return denied


def _until(value: object, place: str, problems: list[Problem]) -> dict[str, datetime] | None:
    table = table_at(value, place, problems)
    if table is None:
        return None
    times = {name: moment(time, _until_place(name), problems) for name, time in table.items()}
    return {name: time for name, time in times.items() if time is not None}


def _until_place(name: str) -> str:
    return f"until.{name if name.isidentifier() and name.isascii() else quoted(name)}"


def _inline_anchor(entry: str) -> tuple[bytes, ...]:
    if not is_inline_certificate(entry):
        raise CertificateError(
            "an update carries its anchors in it", hint="write the PEM text, not a path"
        )
    return pem_certificates(entry, "the PEM text")
