"""The pins of one host, in place of those of the set that covers it.

One set may cover a million hosts, each with a key of its own. What such a host has of its own are
its pins and nothing else: mode, trust, expiry and all the rest are the set's.

1. A host without an entry is judged by the set's own pins, and a host that no set covers stays
   unlisted, whatever entry there is for it.
2. A set with a host's pins obeys the rules of any set: in an enforced one a host needs two pins.
3. An entry that cannot be read is an error, never "no pins".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.pins.field_readers import list_of, table_at, unknown_keys
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin, quoted
from holdfast.pins.pin_set import PinSet, repeated_pins

__all__ = ["MOST_PINS", "HostPins", "host_problem", "misfits", "read_host_pins", "write_host_pins"]

MOST_PINS = 32  # of one host; what is looked up in the middle of a handshake has a bound

_KEYS = ("leaf", "backup", "ca")
_PINS = list_of(
    Pin.parse, Pin.of_spki(b"stands where a pin could not be read"), 'write ["sha256/..."]'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPins:
    """The pins of one host.

    Raises:
        PolicyError: There are none, too many, or one stands twice.
        TypeError: A field is no tuple of pins.
    """

    leaf: tuple[Pin, ...] = ()
    backup: tuple[Pin, ...] = ()
    ca: tuple[Pin, ...] = ()

    def __post_init__(self) -> None:
        """Check what does not depend on the set."""
        if not (type(self.leaf) is type(self.backup) is type(self.ca) is tuple):
            raise TypeError("the pins of a host are tuples")
        pins = self.leaf + self.backup + self.ca
        for pin in pins:
            if type(pin) is not Pin:
                raise TypeError("the pins of a host are pins; text is read by Pin.parse")
        if not 0 < len(pins) <= MOST_PINS:
            raise PolicyError([_wrong_number(len(pins))])
        if len({pin.digest for pin in pins}) < len(pins) and (
            problems := repeated_pins(self.leaf, self.backup, self.ca)
        ):
            raise PolicyError(problems)

    def within(self, pin_set: PinSet) -> PinSet:
        """Return the rule for a host: the set that covers it, with these pins for its own.

        Raises:
            PolicyError: They do not satisfy the rules of such a set, as for two pins.
        """
        return pin_set.with_pins(self.leaf, self.backup, self.ca)


def read_host_pins(value: object, place: str, problems: list[Problem]) -> HostPins | None:
    """Read an entry, `{"leaf": [...], "backup": [...], "ca": [...]}`, at least one of them.

    Args:
        value: What was decoded.
        place: Where it stands; empty for a document of its own.
        problems: Where problems are added.
    """
    table = table_at(value, place, problems)
    if table is None:
        return None
    found: list[Problem] = []
    if len(table) > len(_KEYS):
        found.append(Problem("", "it has too many keys", f"the keys here are {', '.join(_KEYS)}"))
    else:
        unknown_keys(table, _KEYS, "", found)
    fields: dict[str, Any] = {}
    for key in _KEYS:
        entries = table.get(key)
        if isinstance(entries, list) and len(entries) > MOST_PINS:
            found.append(_too_many(key, len(entries)))
        elif key in table:
            fields[key] = _PINS(entries, key, found)
    if not found:
        try:
            return HostPins(**fields)
        except PolicyError as error:
            found += error.problems
    problems += [problem.under(place) for problem in found] if place else found
    return None


def write_host_pins(pins: HostPins) -> dict[str, list[str]]:
    """Return the entry of which `read_host_pins` makes the same."""
    entry = {key: [str(pin) for pin in getattr(pins, key)] for key in _KEYS}
    return {key: texts for key, texts in entry.items() if texts}


def host_problem(host: str) -> Problem | None:
    """Say what is wrong with the host of an entry, if it is not in its canonical form."""
    place = quoted(host)
    try:
        canonical = canonical_host(host)
    except HoldfastError as error:
        return Problem(place, error.message, error.hint or "write a host name")
    if canonical != host:
        return Problem(place, "the host is not in its canonical form", f"write {canonical}")
    return None


def misfits(pins: Mapping[str, HostPins], covering: Mapping[str, PinSet]) -> list[Problem]:
    """Find hosts whose pins do not satisfy the rules of the sets that cover them.

    Args:
        pins: By host.
        covering: The set that covers each host; a host without one is passed over.
    """
    problems = []
    for host, entry in pins.items():
        pin_set = covering.get(host)
        if pin_set is None:
            continue
        try:
            entry.within(pin_set)
        except PolicyError as error:
            problems += [problem.under(quoted(host)) for problem in error.problems]
    return problems


def _wrong_number(count: int) -> Problem:
    if count:
        return _too_many("", count)
    return Problem("", "the host has no pins", "add `leaf`, `backup` or `ca`")


def _too_many(place: str, count: int) -> Problem:
    return Problem(place, f"it has {count} pins", f"a host has at most {MOST_PINS}")
