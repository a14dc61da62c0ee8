"""A policy: all pin sets of an application, and what happens to hosts that none of them covers.

Immutable all the way down, so that a verdict made from it stays true and an identity comparison
says "unchanged".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from holdfast.errors import PolicyError, Problem
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.host_pattern import Reach
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The pin sets of an application; also the simplest `PolicySource`, one that never changes.

    Raises:
        PolicyError: Two sets have one name, one pattern or one client, or a denied entry is not a
            key pin.
        TypeError: A field has another type than declared: text for an enumeration, or a list for a
            tuple.
    """

    unlisted: Unlisted
    pin_sets: tuple[PinSet, ...] = ()
    denied: tuple[Pin, ...] = ()
    on_stale: OnStale = OnStale.ENFORCE
    denied_digests: frozenset[bytes] = field(init=False, repr=False, compare=False)
    _exact: _Index = field(init=False, repr=False, compare=False)
    _one_label: _Index = field(init=False, repr=False, compare=False)
    _any_depth: _Index = field(init=False, repr=False, compare=False)
    _clients: _Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the rules between sets and build the look-up tables."""
        # `unlisted="refuse"` as mere text would not be Unlisted.REFUSE, and so would allow.
        if not (
            type(self.unlisted) is Unlisted
            and type(self.on_stale) is OnStale
            and type(self.pin_sets) is tuple
            and type(self.denied) is tuple
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
        if problems:
            raise PolicyError(problems)
        object.__setattr__(self, "_clients", MappingProxyType(clients))
        object.__setattr__(self, "denied_digests", frozenset(pin.digest for pin in self.denied))
        for attribute, reach in (
            ("_exact", Reach.EXACT),
            ("_one_label", Reach.ONE_LABEL),
            ("_any_depth", Reach.ANY_DEPTH),
        ):
            object.__setattr__(self, attribute, MappingProxyType(indices[reach]))

    def current(self) -> Policy:
        """Return itself, as the policy in force."""
        return self

    def pin_set_for(self, host: str) -> PinSet | None:
        """Return the set whose most specific pattern covers a canonical host; O(labels)."""
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
