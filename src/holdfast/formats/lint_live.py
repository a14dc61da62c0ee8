"""Lint of pins against the chains that servers show now: what is in reserve, and what will change.

Whether a client gets through is not asked here: that is what `holdfast check` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from holdfast.facts.public_cas import ca_of
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_public_cas import INTERMEDIATE, PublicRoots
from holdfast.formats.lint_rule import Rule
from holdfast.formats.platform import Rule as PlatformRule
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, place_of

SHORT_LIFE = timedelta(days=100)
"""The longest life of a public certificate from March 2027 on (CA/Browser Forum ballot SC-081)."""

LIVE_BACKUP = Rule(
    "HF118",
    Severity.WARNING,
    "A backup is in the live chain",
    "A backup is a key that nobody has seen. One that is in use already is lost together with the "
    "rest, so that nothing is in reserve.",
    "RFC 7469 section 4.3",
)
SHORT_LIVED = Rule(
    "HF127",
    Severity.WARNING,
    "A short-lived certificate is pinned as a whole",
    "The pin breaks when the certificate is renewed, which is a matter of weeks: more often than "
    "most clients learn new pins.",
    "https://letsencrypt.org/2025/02/20/first-short-lived-cert-issued/",
)
RULES = (LIVE_BACKUP, SHORT_LIVED)


class Seen(NamedTuple):
    """A certificate that a server showed, or that is on its verified path.

    Attributes:
        pins: Of its key and of itself.
        name: Its subject, for people.
        organization: Whose it is, as the certificate says.
        is_leaf: Whether it is the server's own.
        not_before: From when on it is valid; None where that cannot be read.
        not_after: Until when.
        where: The endpoint.
    """

    pins: frozenset[Pin]
    name: str
    organization: str | None
    is_leaf: bool
    not_before: datetime | None
    not_after: datetime | None
    where: str


class Pinned(NamedTuple):
    """What is pinned for some hosts, in a policy or in a platform's file.

    Attributes:
        name: Of the pin set or rule.
        places: Where each pin stands.
        backups: Those that are meant as backups, if that is said.
    """

    name: str
    places: Mapping[Pin, str]
    backups: tuple[Pin, ...] | None = None

    @classmethod
    def by_set(cls, pin_set: PinSet) -> Pinned:
        """Return what a pin set has."""
        lists = (("leaf", pin_set.leaf), ("backup", pin_set.backup), ("ca", pin_set.ca))
        places = {
            pin: f"{place_of(pin_set.name)}.{key}[{index}]"
            for key, pins in lists
            for index, pin in enumerate(pins)
        }
        return cls(pin_set.name, places, pin_set.backup)

    @classmethod
    def by_rule(cls, rule: PlatformRule) -> Pinned:
        """Return what a rule of a platform has."""
        return cls(rule.name, dict.fromkeys(rule.pins, rule.place))


def live_findings(pinned: Pinned, seen: Sequence[Seen], roots: PublicRoots) -> Iterator[Finding]:
    """Find what of some pins is already used up, or will be soon.

    Args:
        pinned: The pins.
        seen: The certificates of all endpoints that they are for; none if nothing was reached.
        roots: The public roots, by pin.
    """
    yield from _reserve(pinned, seen)
    told: set[Pin] = set()
    for certificate in seen:
        for pin in sorted(certificate.pins & pinned.places.keys() - told, key=str):
            told.add(pin)
            yield from _intermediate(pinned, pin, certificate, roots)
            yield from _short_lived(pinned, pin, certificate)


def _reserve(pinned: Pinned, seen: Sequence[Seen]) -> Iterator[Finding]:
    shown = {pin: certificate.where for certificate in seen for pin in certificate.pins}
    action = "put a new key there that is used nowhere yet: `holdfast key new`"
    if pinned.backups is not None:
        for pin in pinned.backups:
            if pin in shown:
                reason = f"{pin} is in the chain of {shown[pin]}"
                yield LIVE_BACKUP.finding(pinned.places[pin], reason, action, subject=pinned.name)
    elif len(pinned.places) > 1 and shown.keys() >= pinned.places.keys():
        first = next(iter(pinned.places))
        reason = f"every pin is in the chain of {shown[first]}: none is in reserve"
        yield LIVE_BACKUP.finding(pinned.places[first], reason, action, subject=pinned.name)


def _intermediate(
    pinned: Pinned, pin: Pin, certificate: Seen, roots: PublicRoots
) -> Iterator[Finding]:
    ca = ca_of(certificate.organization)
    if ca is None or certificate.is_leaf or not certificate.pins.isdisjoint(roots):
        return
    # A root that not every store has is sent with a certificate that an older root signed.
    if any(f"CN={root}" in certificate.name.split(",") for root in ca.new_roots):
        return
    yield INTERMEDIATE.finding(
        pinned.places[pin],
        f"{certificate.name} is an intermediate of {ca.name}: {ca.intermediates}",
        f"pin the CA's roots, or an own key, instead: {ca.source}",
        subject=pinned.name,
    )


def _short_lived(pinned: Pinned, pin: Pin, certificate: Seen) -> Iterator[Finding]:
    begin, end = certificate.not_before, certificate.not_after
    if not pin.is_certificate or not certificate.is_leaf or begin is None or end is None:
        return
    if end - begin <= SHORT_LIFE:
        yield SHORT_LIVED.finding(
            pinned.places[pin],
            f"the certificate of {certificate.where} lives {(end - begin).days} days, until "
            f"{end.date()}",
            "pin the key instead, and renew with the same key: `holdfast key pin FILE`",
            subject=pinned.name,
        )
