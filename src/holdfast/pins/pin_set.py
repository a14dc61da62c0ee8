"""A pin set: the pins for some host patterns, with mode, expiry, trust and owner.

A `PinSet` that exists is sound: the rules of its fields are checked when it is made, all at once,
whether it comes from a file or from code. Rules that need a second pin set (a pattern in two of
them) are the policy's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from holdfast.errors import Mistake, PolicyError, Problem
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern, Reach
from holdfast.pins.pin import Pin, PinAlgorithm, quoted

ACCEPT_LOCK_OUT = "I accept lock-out"
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


class Mode(StrEnum):
    """What happens to a connection whose path does not satisfy the set."""

    ENFORCE = "enforce"
    REPORT_ONLY = "report-only"


class OnExpiry(StrEnum):
    """What happens to such a connection once the set has expired."""

    ENFORCE = "enforce"
    REPORT_ONLY = "report-only"
    ALLOW = "allow"


class Trust(StrEnum):
    """What vouches for the path that the pins are matched against."""

    PUBLIC = "public"
    PRIVATE = "private"
    PINS_ONLY = "pins-only"


class Require(StrEnum):
    """Whether one matching pin is enough when a set has leaf and CA pins."""

    LEAF_OR_CA = "leaf-or-ca"
    LEAF_AND_CA = "leaf-and-ca"


class Redirects(StrEnum):
    """Where a library helper may follow a redirect from a host of the set."""

    PINNED_ONLY = "pinned-only"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Digests:
    """Pins grouped for look-up by raw digest."""

    spki: frozenset[bytes]
    certificate: frozenset[bytes]

    @classmethod
    def of(cls, pins: tuple[Pin, ...]) -> Digests:
        """Group pins by what they were taken over."""
        return cls(
            frozenset(pin.digest for pin in pins if pin.algorithm is PinAlgorithm.SPKI),
            frozenset(pin.digest for pin in pins if pin.algorithm is PinAlgorithm.CERTIFICATE),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PinSet:
    """The pins for some hosts. The fields are the keys of a `[pin_set.NAME]` table.

    Raises:
        PolicyError: At least one rule is broken; the places in its problems begin with
            `pin_set.NAME`.
        TypeError: A field has another type than declared: text for an enumeration, or a list for a
            tuple.
    """

    name: str
    hosts: tuple[HostPattern, ...]
    mode: Mode
    leaf: tuple[Pin, ...] = ()
    backup: tuple[Pin, ...] = ()
    ca: tuple[Pin, ...] = ()
    require: Require = Require.LEAF_OR_CA
    trust: Trust = Trust.PUBLIC
    anchors: tuple[bytes, ...] = ()
    expires: datetime | None = None
    on_expiry: OnExpiry | None = None
    report_only_until: datetime | None = None
    owner: str | None = None
    strict: bool = False
    single_pin: str | None = None
    redirects: Redirects | None = None
    endpoints: tuple[Endpoint, ...] = ()
    clients: tuple[ClientIdentity, ...] = ()
    check_name: bool | None = None
    check_validity: bool | None = None
    _digests: tuple[Digests, Digests] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check every rule."""
        if not _has_declared_types(self):
            raise TypeError(
                f"pin set {quoted(self.name)}: lists are tuples; mode, trust and so on enumerations"
            )
        problems = [*_name(self), *_pins(self), *_backup_rule(self), *_trust(self), *_reach(self)]
        # Most of many thousand sets have no times; asking here spares them two calls each.
        if self.expires or self.on_expiry or self.report_only_until:
            problems += [*_expiry(self), *_break_glass(self)]
        if problems:
            place = place_of(self.name)
            raise PolicyError([problem.under(place) for problem in problems])

    @property
    def leaf_digests(self) -> Digests:
        """Return the pins that a leaf may match."""
        return self._by_role()[0]

    @property
    def ca_digests(self) -> Digests:
        """Return the pins that a CA may match."""
        return self._by_role()[1]

    def with_pins(
        self, leaf: tuple[Pin, ...], backup: tuple[Pin, ...], ca: tuple[Pin, ...]
    ) -> PinSet:
        """Return the same set with other pins, checked like any set, in half the time of `replace`.

        Raises:
            PolicyError: It breaks a rule.
        """
        other = object.__new__(PinSet)
        values = (leaf, backup, ca, *_rest_of(self), *_NOT_YET)
        for keep, value in zip(_KEEP, values, strict=True):
            keep(other, value)
        other.__post_init__()
        return other

    def _by_role(self) -> tuple[Digests, Digests]:
        """Prepare the look-ups on first use: a process talks to few of many sets."""
        digests = self._digests
        if digests is None:
            digests = Digests.of(self.leaf + self.backup), Digests.of(self.ca)
            object.__setattr__(self, "_digests", digests)
        return digests

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Return every pin of the set."""
        return self.leaf + self.backup + self.ca


_PINS = ["leaf", "backup", "ca"]
_REST = [field.name for field in fields(PinSet) if field.init and field.name not in _PINS]
_WORKED_OUT = [field for field in fields(PinSet) if not field.init]
_NOT_YET = tuple(field.default for field in _WORKED_OUT)
_rest_of = attrgetter(*_REST)
# The slots themselves: the class is frozen.
_KEEP = [
    getattr(PinSet, name).__set__
    for name in (*_PINS, *_REST, *(field.name for field in _WORKED_OUT))
]


def place_of(name: str) -> str:
    """Return where a set of this name stands in a policy, fit for a message in any case."""
    return f"pin_set.{name if name and not name.strip(_NAME_CHARACTERS) else quoted(name)}"


def _has_declared_types(pin_set: PinSet) -> bool:
    """Tell whether comparisons by identity can be relied on, and nothing can change later."""
    return (
        type(pin_set.mode) is Mode
        and type(pin_set.trust) is Trust
        and type(pin_set.require) is Require
        and (pin_set.on_expiry is None or type(pin_set.on_expiry) is OnExpiry)
        and (pin_set.redirects is None or type(pin_set.redirects) is Redirects)
        and type(pin_set.hosts) is tuple
        and type(pin_set.leaf) is tuple
        and type(pin_set.backup) is tuple
        and type(pin_set.ca) is tuple
        and type(pin_set.anchors) is tuple
        and type(pin_set.endpoints) is tuple
        and type(pin_set.clients) is tuple
    )


def _name(pin_set: PinSet) -> list[Problem]:
    if pin_set.name and not pin_set.name.strip(_NAME_CHARACTERS):
        return []
    return [Problem("", "this is no name for a set", "use only letters, digits, - and _")]


def _pins(pin_set: PinSet) -> list[Problem]:
    problems = []
    pins = pin_set.pins
    if not pins and pin_set.trust is not Trust.PRIVATE:
        problems.append(
            Problem("", "it has no pins", "add `leaf`, `backup` or `ca`, or remove the set")
        )
    if len({pin.digest for pin in pins}) < len(pins):
        problems += repeated_pins(pin_set.leaf, pin_set.backup, pin_set.ca)
    if pin_set.require is Require.LEAF_AND_CA and not (
        (pin_set.leaf or pin_set.backup) and pin_set.ca
    ):
        problems.append(
            Problem("require", "leaf-and-ca needs leaf and CA pins", "add the missing ones")
        )
    return problems


def repeated_pins(
    leaf: tuple[Pin, ...], backup: tuple[Pin, ...], ca: tuple[Pin, ...]
) -> list[Problem]:
    """Find pins that stand twice, in one list or in two."""
    problems = []
    seen: dict[Pin, str] = {}
    for key, pins in (("leaf", leaf), ("backup", backup), ("ca", ca)):
        for index, pin in enumerate(pins):
            place = f"{key}[{index}]"
            if pin in seen:
                message = f"{pin} stands in {seen[pin]} already"
                problems.append(Problem(place, message, "remove one of them", Mistake.TWICE))
            seen.setdefault(pin, place)
    return problems


def _backup_rule(pin_set: PinSet) -> list[Problem]:
    """An enforced set survives the loss of one key, or its owner has accepted lock-out."""
    if pin_set.single_pin is not None:
        if pin_set.single_pin == ACCEPT_LOCK_OUT:
            return []
        return [
            Problem(
                "single_pin",
                "it does not accept anything",
                f'write exactly "{ACCEPT_LOCK_OUT}", or remove it',
            )
        ]
    leaf_is_safe = pin_set.leaf and pin_set.backup
    ca_is_safe = len(pin_set.ca) > 1
    both_needed = pin_set.require is Require.LEAF_AND_CA
    if (leaf_is_safe and ca_is_safe) if both_needed else (leaf_is_safe or ca_is_safe):
        return []
    # Private anchors are pins too, and count as the second one.
    if pin_set.mode is not Mode.ENFORCE or not pin_set.pins or pin_set.trust is Trust.PRIVATE:
        return []
    return [
        Problem(
            "backup",
            "an enforced set needs a way out when its key is lost",
            "add a backup pin (`holdfast key new`) or a second CA, "
            f'or write single_pin = "{ACCEPT_LOCK_OUT}"',
            Mistake.ONE_PIN if len(pin_set.pins) == 1 else Mistake.NO_BACKUP,
        )
    ]


def _trust(pin_set: PinSet) -> list[Problem]:
    trust = pin_set.trust
    is_checked = pin_set.check_name is None and pin_set.check_validity is None
    if trust is Trust.PUBLIC and is_checked and not pin_set.anchors:
        return []
    problems = []
    if trust is Trust.PRIVATE and not pin_set.anchors:
        problems.append(
            Problem("anchors", "private trust needs anchors", "list the PEM files of its CAs")
        )
    if pin_set.anchors and trust is not Trust.PRIVATE:
        fix = 'write trust = "private", or remove them'
        problems.append(Problem("anchors", "only private trust has anchors", fix))
    if trust is Trust.PINS_ONLY:
        if pin_set.ca:
            # Under CERT_NONE OpenSSL's path holds CAs whose signatures nobody checked: a full
            # bypass.
            fix = "pin the leaf, or use private trust with the CA as anchor"
            problems.append(Problem("ca", "pins-only trust cannot check a CA's signature", fix))
        return problems
    fix = "remove it; it belongs to pins-only trust"
    if pin_set.check_name is not None:
        problems.append(Problem("check_name", "the name is always checked here", fix))
    if pin_set.check_validity is not None:
        problems.append(Problem("check_validity", "the validity is always checked here", fix))
    return problems


def _expiry(pin_set: PinSet) -> list[Problem]:
    problems = []
    fix = "write it with Z or +hh:mm"
    if pin_set.expires is not None and pin_set.expires.utcoffset() is None:
        problems.append(Problem("expires", "the time has no offset", fix))
    until = pin_set.report_only_until
    if until is not None and until.utcoffset() is None:
        problems.append(Problem("report_only_until", "the time has no offset", fix))
    if pin_set.expires is not None and pin_set.on_expiry is None:
        fix = "write on_expiry = enforce, report-only or allow"
        problems.append(Problem("on_expiry", "a set that expires says what happens then", fix))
    if pin_set.on_expiry is not None and pin_set.expires is None:
        problems.append(
            Problem("on_expiry", "the set never expires", "add `expires`, or remove it")
        )
    return problems


def _break_glass(pin_set: PinSet) -> list[Problem]:
    if pin_set.report_only_until is None:
        return []
    problems = []
    if pin_set.strict:
        problems.append(
            Problem(
                "report_only_until", "a strict set has no break-glass", "remove it, or `strict`"
            )
        )
    if pin_set.trust is not Trust.PUBLIC:
        fix = "remove it; without pins nothing would be checked"
        problems.append(Problem("report_only_until", "break-glass is only for public trust", fix))
    return problems


def _reach(pin_set: PinSet) -> list[Problem]:
    problems = []
    if not pin_set.hosts and not pin_set.clients:
        problems.append(
            Problem("hosts", "the set covers no host", "list at least one host pattern")
        )
    if not pin_set.endpoints:
        return problems
    for index, endpoint in enumerate(pin_set.endpoints):
        if not any(pattern.covers(endpoint.host) for pattern in pin_set.hosts):
            fix = "add its host to `hosts`, or move it to the set that covers it"
            problems.append(
                Problem(f"endpoints[{index}]", f"{endpoint} is not a host of this set", fix)
            )
    return problems


def probed_endpoints(pin_set: PinSet) -> tuple[Endpoint, ...]:
    """Return what a probe of the set visits: its endpoints, else port 443 of each exact host."""
    if pin_set.endpoints:
        return pin_set.endpoints
    return tuple(
        Endpoint("https", pattern.host, 443)
        for pattern in pin_set.hosts
        if pattern.reach is Reach.EXACT
    )
