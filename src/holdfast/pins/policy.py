"""A policy: all pin sets of an application, and what happens to hosts that none of them covers.

Immutable all the way down, so that a verdict made from it stays true and an identity comparison
says "unchanged".

`host_pins` gives hosts pins of their own, in place of those of the set that covers them, and can
change nothing else (see `host_pins.py`). A dictionary is checked here, whole. Another mapping, as
of a million hosts in a file, is asked at each look-up: it must not change, must compare equal only
to one that says the same, and raises a HoldfastError for an entry that cannot be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from holdfast.errors import PolicyError, Problem
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.host_pattern import Reach
from holdfast.pins.host_pins import HostPins, host_problem, misfits
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import PinSet

FORMAT = 1
BREAK_GLASS_LIMIT = timedelta(days=7)


class Unlisted(StrEnum):
    """What happens to a host that no pattern covers."""

    REFUSE = "refuse"
    REPORT_ONLY = "report-only"
    ALLOW = "allow"


class OnStale(StrEnum):
    """What a client does when a signed policy is past its hard limit."""

    ENFORCE = "enforce"
    REPORT_ONLY = "report-only"
    REFUSE = "refuse"


_Index = Mapping[str, PinSet]
_NO_HOST_PINS: Mapping[str, HostPins] = MappingProxyType({})
_REMEMBERED = 1024  # hosts with pins of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The pin sets of an application; also the simplest `PolicySource`, one that never changes.

    Raises:
        PolicyError: Two sets have one name, one pattern or one client, a denied entry is not a key
            pin, or the pins of a host break a rule of its set.
        TypeError: A field has another type than declared: text for an enumeration, or a list for a
            tuple.
    """

    unlisted: Unlisted
    pin_sets: tuple[PinSet, ...] = ()
    denied: tuple[Pin, ...] = ()
    on_stale: OnStale = OnStale.ENFORCE
    host_pins: Mapping[str, HostPins] = field(
        default_factory=lambda: _NO_HOST_PINS, repr=False, hash=False
    )
    denied_digests: frozenset[bytes] = field(init=False, repr=False, compare=False)
    _exact: _Index = field(init=False, repr=False, compare=False)
    _one_label: _Index = field(init=False, repr=False, compare=False)
    _any_depth: _Index = field(init=False, repr=False, compare=False)
    _clients: _Index = field(init=False, repr=False, compare=False)
    _with_host_pins: dict[str, PinSet] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the rules between sets and build the look-up tables."""
        # `unlisted="refuse"` as mere text would not be Unlisted.REFUSE, and so would allow.
        if not (
            type(self.unlisted) is Unlisted
            and type(self.on_stale) is OnStale
            and type(self.pin_sets) is tuple
            and type(self.denied) is tuple
            and isinstance(self.host_pins, Mapping)
        ):
            raise TypeError("a policy takes enumerations and tuples; see its fields")
        denied = [problem.under("holdfast") for problem in denied_problems(self.denied)]
        problems = [*denied, *_name_problems(self.pin_sets)]
        indices: dict[Reach, dict[str, PinSet]] = {reach: {} for reach in Reach}
        for pin_set in self.pin_sets:
            for position, pattern in enumerate(pin_set.hosts):
                index = indices[pattern.reach]
                if pattern.host in index:
                    owner = index[pattern.host]
                    problems.append(_repeated_pattern(pin_set, position, owner))
                else:
                    index[pattern.host] = pin_set
        clients = _client_index(self.pin_sets, problems)
        object.__setattr__(self, "_with_host_pins", {})
        object.__setattr__(self, "denied_digests", frozenset(pin.digest for pin in self.denied))
        for attribute, reach in (
            ("_exact", Reach.EXACT),
            ("_one_label", Reach.ONE_LABEL),
            ("_any_depth", Reach.ANY_DEPTH),
        ):
            object.__setattr__(self, attribute, MappingProxyType(indices[reach]))
        object.__setattr__(self, "_clients", MappingProxyType(clients))
        problems += self._keep_host_pins()
        if problems:
            raise PolicyError(problems)

    def current(self) -> Policy:
        """Return itself, as the policy in force."""
        return self

    def pin_set_for(self, host: str) -> PinSet | None:
        """Return the set whose most specific pattern covers a canonical host; O(labels).

        It has the pins of the host, where the host has some of its own.

        Raises:
            HoldfastError: Nobody can say which those are; never where `host_pins` is a dictionary.
        """
        covering = self._covering(host)
        if covering is None or self.host_pins is _NO_HOST_PINS:
            return covering
        known = self._with_host_pins.get(host)
        if known is not None:
            return known
        pins = self.host_pins.get(host)
        if pins is None:
            return covering
        if len(self._with_host_pins) >= _REMEMBERED:
            # The oldest alone: who holds a verdict compares its set with this one by identity.
            with suppress(RuntimeError):  # another thread came in between
                self._with_host_pins.pop(next(iter(self._with_host_pins), ""), None)
        return self._with_host_pins.setdefault(host, pins.within(covering))

    def _covering(self, host: str) -> PinSet | None:
        found = self._exact.get(host) or self._any_depth.get(host)
        rest = host
        while found is None:
            _, dot, parent = rest.partition(".")
            if not dot:
                return None
            if rest is host:
                found = self._one_label.get(parent)
            found = found or self._any_depth.get(parent)
            rest = parent
        return found

    def pin_set_for_client(self, identity: ClientIdentity) -> PinSet | None:
        """Return the set that names a client: this very identity, else its whole trust domain."""
        found = self._clients.get(identity.text)
        if found is None and (domain := identity.trust_domain) is not None:
            found = self._clients.get(domain.text)
        return found

    def _keep_host_pins(self) -> list[Problem]:
        """Take the entries of a dictionary, so that nobody changes them, and check them."""
        given = self.host_pins
        if given is _NO_HOST_PINS or not isinstance(given, dict | MappingProxyType):
            return []
        object.__setattr__(self, "host_pins", MappingProxyType(dict(given)) or _NO_HOST_PINS)
        if any(type(host) is not str or type(pins) is not HostPins for host, pins in given.items()):
            raise TypeError("host_pins is a mapping of hosts to HostPins")
        found = (host_problem(host) for host in given)
        covering = {host: pin_set for host in given if (pin_set := self._covering(host))}
        problems = [problem for problem in found if problem is not None]
        return [one.under("host_pins") for one in [*problems, *misfits(given, covering)]]


def break_glass_problems(pin_sets: tuple[PinSet, ...], now: datetime) -> list[Problem]:
    """Find break-glass that reaches too far ahead: it must end by itself within days."""
    return [
        Problem(
            f"pin_set.{pin_set.name}.report_only_until",
            f"break-glass may last at most {BREAK_GLASS_LIMIT.days} days",
            f"write a time before {(now + BREAK_GLASS_LIMIT).isoformat(timespec='seconds')}",
        )
        for pin_set in pin_sets
        if pin_set.report_only_until is not None
        and pin_set.report_only_until > now + BREAK_GLASS_LIMIT
    ]


def denied_problems(denied: tuple[Pin, ...]) -> list[Problem]:
    """Find entries that are no keys, or stand twice; the places begin with `denied`."""
    problems = []
    seen: set[Pin] = set()
    for index, pin in enumerate(denied):
        place = f"denied[{index}]"
        if pin.algorithm is not PinAlgorithm.SPKI:
            fix = "write its key as sha256/...: its next certificate must be refused too"
            problems.append(Problem(place, "only a key can be denied", fix))
        if pin in seen:
            problems.append(Problem(place, f"{pin} is denied twice", "remove one of them"))
        seen.add(pin)
    return problems


def _name_problems(pin_sets: tuple[PinSet, ...]) -> list[Problem]:
    counts = Counter(pin_set.name for pin_set in pin_sets)
    return [
        Problem(f"pin_set.{name}", "there are two sets of this name", "rename one of them")
        for name, count in counts.items()
        if count > 1
    ]


def _client_index(pin_sets: tuple[PinSet, ...], problems: list[Problem]) -> dict[str, PinSet]:
    index: dict[str, PinSet] = {}
    for pin_set in pin_sets:
        for position, client in enumerate(pin_set.clients):
            owner = index.get(client.text)
            if owner is None:
                index[client.text] = pin_set
                continue
            place = f"pin_set.{pin_set.name}.clients[{position}]"
            message = f"{client} stands in pin_set.{owner.name} already"
            problems.append(Problem(place, message, "keep it in one place"))
    return index


def _repeated_pattern(pin_set: PinSet, index: int, owner: PinSet) -> Problem:
    return Problem(
        f"pin_set.{pin_set.name}.hosts[{index}]",
        f"{pin_set.hosts[index]} stands in pin_set.{owner.name} already",
        "keep it in one place",
    )
