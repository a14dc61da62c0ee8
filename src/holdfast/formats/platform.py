"""What platforms have in common: rules for hosts, and the few ways in which they differ. Pure.

A platform is described by `Semantics`, as data. Translating a policy, translating back and deciding
as the platform would are written once, over these, and each platform's file only reads and writes
its text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import Enum, IntFlag, auto

from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin import Pin

__all__ = [
    "Expiry",
    "Kinds",
    "Overlap",
    "Places",
    "PlatformHost",
    "Rule",
    "Semantics",
    "moment_of",
]


class Kinds(IntFlag):
    """The hosts that an entry for `h` covers: h itself, one label below it, deeper ones."""

    APEX = auto()
    ONE_BELOW = auto()
    DEEPER = auto()
    ONE_LABEL_DOWN = APEX | ONE_BELOW  # Apple's "subdomains"
    ANY_DEPTH = APEX | ONE_BELOW | DEEPER


@dataclass(frozen=True, slots=True, order=True)
class PlatformHost:
    """One entry for hosts.

    Attributes:
        host: As a canonical host.
        kinds: Which hosts at and below it are meant.
    """

    host: str
    kinds: Kinds = Kinds.APEX

    def covers(self, host: str) -> bool:
        """Tell whether the entry covers a canonical host."""
        if host == self.host:
            return Kinds.APEX in self.kinds
        if is_ip_literal(self.host) or not host.endswith("." + self.host):
            return False
        below = host[: -len(self.host) - 1]
        return (Kinds.DEEPER if "." in below else Kinds.ONE_BELOW) in self.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The pins for some hosts, as a platform has them.

    Attributes:
        name: Of the pin set, or one made from the first host.
        hosts: What it is for.
        anywhere: Pins that match any certificate of the path.
        leaf: Pins that match the leaf only.
        ca: Pins that match any other certificate only.
        enforced: Whether a mismatch refuses, or is only reported.
        expires: The day on which pinning is switched off, or the moment; None where it is not.
        exempt: Whether the hosts are not pinned, although a wider rule covers them.
        place: Where it stands in a file, for messages; two rules are the same wherever they stand.
    """

    name: str
    hosts: tuple[PlatformHost, ...]
    anywhere: tuple[Pin, ...] = ()
    leaf: tuple[Pin, ...] = ()
    ca: tuple[Pin, ...] = ()
    enforced: bool = True
    expires: date | None = None
    exempt: bool = False
    place: str = field(default="", compare=False)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Return every pin."""
        return self.anywhere + self.leaf + self.ca


class Overlap(Enum):
    """What counts for a host that several rules cover."""

    MOST_SPECIFIC = auto()
    NEAREST = auto()  # also where it does not cover the host: then nothing does
    UNION = auto()
    UNKNOWN = auto()  # its makers do not say


class Places(Enum):
    """Which certificates of a path a platform holds against pins."""

    ANYWHERE = auto()
    LEAF = auto()
    EITHER_ROLE = auto()  # lists for leaf and CA, of which one has to match
    BOTH_ROLES = auto()  # lists for leaf and CA, of which both have to match


class Expiry(Enum):
    """Whether pinning can be switched off by a date, and where the day begins."""

    NONE = auto()
    LOCAL_DAY = auto()
    UTC_DAY = auto()
    OF_LIST = auto()  # a moment, the same for all rules: they get too old together


def moment_of(expires: date) -> datetime:
    """Return when something ends: the moment, or the beginning of the day in UTC."""
    return expires if isinstance(expires, datetime) else datetime.combine(expires, time(), UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """How a platform understands its rules.

    Attributes:
        title: The platform's name, for people.
        entries: The kinds of entries for hosts that it has.
        overlap: What counts where several rules cover a host.
        places: Which certificates are held against pins.
        certificate_pins: Whether pins over whole certificates can be said.
        key_pins: Whether pins over keys can be said.
        expiry: Whether a rule can end.
        report_only: Whether a rule can report and not refuse.
        exemptions: The kinds of entries by which hosts can be taken out of a wider rule.
        addresses: Whether IP literals can be pinned.
        one_entry_a_host: Whether a host may stand in one entry only.
        minimum: How many pins an enforced rule has at least.
        verifies: Whether name, dates and chain are checked beside the pins.
        hosts: Whether the text names hosts at all; if not, it is for one rule.
        drops_dot: Whether a trailing dot of a host is dropped before it is looked up.
        folds_case: Whether the case of its letters is folded.
        scheme: What its clients speak with a host, as endpoints have it.
        shipped: Whether the text is part of an application, which only a release changes.
    """

    title: str
    entries: tuple[Kinds, ...]
    overlap: Overlap = Overlap.MOST_SPECIFIC
    places: Places = Places.ANYWHERE
    certificate_pins: bool = False
    key_pins: bool = True
    expiry: Expiry = Expiry.NONE
    report_only: bool = False
    exemptions: tuple[Kinds, ...] = ()
    addresses: bool = True
    one_entry_a_host: bool = False
    minimum: int = 1
    verifies: bool = True
    hosts: bool = True
    drops_dot: bool = False
    folds_case: bool = True
    scheme: str = "https"
    shipped: bool = False
