"""From a policy to the rules of a platform, and what gets lost on the way. Pure.

1. Whatever the rules decide otherwise than the policy is a loss, with its effect; a test holds the
   two against each other for random policies, hosts and paths.
2. Where a set cannot be said at all, nothing of it is: half of it would refuse what it allows.
3. Denied keys are left out of the pins: there they would be the opposite of denied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

from holdfast.certificates.spki import spki_of
from holdfast.formats.host_cover import Cover, cover, in_words
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.overlaps import at_and_above, merged, overlaps
from holdfast.formats.platform import Expiry, Kinds, Overlap, Places, PlatformHost, Rule, Semantics
from holdfast.pins.host_pattern import HostPattern, is_ip_literal
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Require, Trust, place_of
from holdfast.pins.policy import Policy, Unlisted

__all__ = ["EASTERNMOST", "Translated", "rules_of"]

EASTERNMOST = timedelta(hours=14)  # the zone in which a day begins first, UTC+14
_ONE_DAY = timedelta(days=1)


class Translated(NamedTuple):
    """The rules of a platform, and what they do not say."""

    rules: tuple[Rule, ...]
    losses: tuple[Loss, ...]


def rules_of(policy: Policy, semantics: Semantics) -> Translated:
    """Translate a policy.

    Args:
        policy: What is to be said.
        semantics: How the platform understands its rules.

    Raises:
        CertificateError: An anchor of a private set is no certificate.
    """
    losses = list(_of_the_whole(policy, semantics))
    owners: dict[str, list[tuple[HostPattern, PinSet]]] = {}
    for pin_set in policy.pin_sets:
        for pattern in pin_set.hosts:
            owners.setdefault(pattern.host, []).append((pattern, pin_set))
    rules = []
    for pin_set in policy.pin_sets:
        rule = _Translator(policy, pin_set, semantics, losses, owners).rule()
        if rule is not None:
            rules.append(rule)
    if semantics.one_entry_a_host:
        rules = merged(rules, semantics, losses)
    if semantics.overlap is not Overlap.MOST_SPECIFIC:
        losses += overlaps(rules, semantics)
    return Translated(tuple(rules), tuple(dict.fromkeys(losses)))


def _of_the_whole(policy: Policy, semantics: Semantics) -> Iterator[Loss]:
    if policy.denied:
        yield Loss(
            kind=LossKind.DENIED,
            effect=Effect.LETS_THROUGH,
            place="holdfast.denied",
            consequence=f"{semantics.title} knows no denied keys: a path over one is accepted",
        )
    if policy.unlisted is Unlisted.REFUSE and semantics.hosts:
        yield Loss(
            kind=LossKind.UNLISTED,
            effect=Effect.LETS_THROUGH,
            place="holdfast.unlisted",
            consequence="hosts that no pattern covers are connected to without pins",
        )
    if policy.unlisted is Unlisted.REPORT_ONLY:
        yield Loss(
            kind=LossKind.UNLISTED,
            effect=Effect.NEITHER,
            place="holdfast.unlisted",
            consequence="connections to hosts that no pattern covers are not reported",
        )


class _Translator:
    """Translates one pin set."""

    def __init__(
        self,
        policy: Policy,
        pin_set: PinSet,
        semantics: Semantics,
        losses: list[Loss],
        owners: Mapping[str, list[tuple[HostPattern, PinSet]]],
    ) -> None:
        self._policy, self._set, self._semantics = policy, pin_set, semantics
        self._losses, self._owners = losses, owners

    def rule(self) -> Rule | None:
        """Return the rule, or None where there is nothing to say or no way to say it."""
        if self._set.clients:
            self._lose(
                LossKind.CLIENTS, Effect.NEITHER, "clients", "clients of a server are not pinned"
            )
        covers = cover(self._set.hosts, self._semantics) if self._semantics.hosts else ()
        if self._semantics.hosts and not covers:
            return None
        is_report_only = self._set.mode is Mode.REPORT_ONLY
        if is_report_only and not self._semantics.report_only:
            return self._exemption()
        pins = self._pins()
        if pins is None:
            return self._left_out()
        rule = replace(
            pins, enforced=not is_report_only, expires=self._expiry(), hosts=self._hosts(covers)
        )
        self._trust(rule)
        self._times()
        return rule if rule.hosts or not self._semantics.hosts else None

    def _exemption(self) -> Rule | None:
        """Take a report-only set out of what is pinned: enforcing it would refuse."""
        self._lose(
            LossKind.REPORT_ONLY,
            Effect.NEITHER,
            "mode",
            f"{self._semantics.title} cannot report only: the hosts are not pinned, and nothing is "
            "reported",
        )
        return self._left_out()

    def _left_out(self) -> Rule | None:
        if not self._is_within_another():
            return None
        if self._semantics.exemptions:
            entries = replace(self._semantics, entries=self._semantics.exemptions)
            hosts = tuple(entry for one in cover(self._set.hosts, entries) for entry in one.entries)
            for one in cover(self._set.hosts, entries):
                if one.missing:
                    self._lose(
                        LossKind.SUBDOMAINS,
                        Effect.REFUSES,
                        "hosts",
                        f"under a wider pin set: of {one.host}, {in_words(one.missing)}",
                    )
            return Rule(name=self._set.name, hosts=hosts, exempt=True)
        self._lose(
            LossKind.OVERLAP,
            Effect.REFUSES,
            "hosts",
            "a wider pin set takes the hosts over, and refuses what its own pins do not match",
        )
        self._lose(
            LossKind.OVERLAP,
            Effect.LETS_THROUGH,
            "hosts",
            "a wider pin set takes the hosts over, and accepts its own pins for them",
        )
        return None

    def _is_within_another(self) -> bool:
        return any(
            other.covers(pattern.host) or other.covers("x." + pattern.host)
            for pattern in self._set.hosts
            for above in at_and_above(pattern.host)
            for other, pin_set in self._owners.get(above, ())
            if pin_set is not self._set
        )

    # --- Pins -------------------------------------------------------------------------------------

    def _pins(self) -> Rule | None:
        """Return the pins in a rule without hosts, or None where too few can be said."""
        leaf, ca = self._sayable(self._set.leaf + self._set.backup), self._sayable(self._set.ca)
        if self._set.trust is Trust.PRIVATE and not self._set.pins:
            ca = tuple(Pin.of_spki(spki_of(anchor)) for anchor in self._set.anchors)
        rule = self._placed(leaf, ca)
        if len(set(rule.pins)) >= (self._semantics.minimum if self._is_enforced else 1):
            return rule
        self._lose(
            LossKind.NUMBER_OF_PINS,
            Effect.LETS_THROUGH,
            "",
            f"of its pins {self._semantics.title} can hold {len(set(rule.pins))}, and takes no "
            f"fewer than {self._semantics.minimum}: the hosts are not pinned",
        )
        return None

    @property
    def _is_enforced(self) -> bool:
        return self._set.mode is Mode.ENFORCE

    def _sayable(self, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        said = []
        for pin in pins:
            is_key = pin.algorithm is PinAlgorithm.SPKI
            if pin.digest in self._policy.denied_digests:
                continue
            if self._semantics.key_pins if is_key else self._semantics.certificate_pins:
                said.append(pin)
                continue
            kind = "key" if is_key else "whole-certificate"
            self._lose(
                LossKind.CERTIFICATE_PINS,
                Effect.REFUSES,
                "",
                f"{self._semantics.title} has no {kind} pins: what only {pin} matches is refused",
            )
        return tuple(said)

    def _placed(self, leaf: tuple[Pin, ...], ca: tuple[Pin, ...]) -> Rule:
        name = self._set.name
        both_needed = self._set.require is Require.LEAF_AND_CA
        match self._semantics.places:
            case Places.ANYWHERE:
                self._lose_positions()
                self._lose_both(both_needed=both_needed)
                return Rule(name=name, hosts=(), anywhere=tuple(dict.fromkeys(leaf + ca)))
            case Places.LEAF:
                if ca and not both_needed:
                    self._lose(
                        LossKind.CA_PINS,
                        Effect.REFUSES,
                        "ca",
                        f"{self._semantics.title} looks at the leaf only: a leaf without a pin of "
                        "its own is refused",
                    )
                self._lose_both(both_needed=both_needed)
                return Rule(name=name, hosts=(), leaf=leaf)
        is_either = self._semantics.places is Places.EITHER_ROLE
        self._lose_both(both_needed=both_needed and (is_either or not (leaf and ca)))
        if is_either:
            return Rule(name=name, hosts=(), leaf=leaf, ca=ca)
        if leaf and ca and not both_needed:
            self._lose(
                LossKind.CA_PINS,
                Effect.REFUSES,
                "ca",
                f"{self._semantics.title} asks for a leaf pin and a CA pin where there are both, "
                "so that only the leaf pins are said",
            )
            ca = ()
        return Rule(name=name, hosts=(), leaf=leaf, ca=ca)

    def _lose_positions(self) -> None:
        self._lose(
            LossKind.POSITION,
            Effect.NEITHER,
            "",
            f"{self._semantics.title} holds each pin against every certificate of the path; only "
            "who has a pinned key could use that",
        )

    def _lose_both(self, *, both_needed: bool) -> None:
        if both_needed:
            self._lose(
                LossKind.LEAF_AND_CA,
                Effect.LETS_THROUGH,
                "require",
                "one matching pin is enough, where the policy asks for one of each kind",
            )

    # --- Hosts ------------------------------------------------------------------------------------

    def _hosts(self, covers: tuple[Cover, ...]) -> tuple[PlatformHost, ...]:
        entries: list[PlatformHost] = []
        for one in covers:
            entries += one.entries
            if not one.entries and is_ip_literal(one.host):
                self._lose(
                    LossKind.IP_ADDRESSES,
                    Effect.LETS_THROUGH,
                    "hosts",
                    f"{self._semantics.title} cannot pin an address: {one.host} is not pinned",
                )
                continue
            if one.missing:
                self._lose(
                    LossKind.SUBDOMAINS,
                    Effect.LETS_THROUGH,
                    "hosts",
                    f"not pinned, since it cannot be said: of {one.host}, {in_words(one.missing)}",
                )
            if one.extra:
                self._lose(
                    LossKind.SUBDOMAINS,
                    Effect.REFUSES,
                    "hosts",
                    f"pinned too: of {one.host}, {in_words(one.extra)}",
                )
                self._lose_others(one)
        return tuple(entries)

    def _lose_others(self, one: Cover) -> None:
        """Tell of hosts that another set covers and this one's entry takes from it."""
        names = {
            Kinds.APEX: one.host,
            Kinds.ONE_BELOW: f"x.{one.host}",
            Kinds.DEEPER: f"x.x.{one.host}",
        }
        for kind, name in names.items():
            owner = self._policy.pin_set_for(name) if kind in one.extra else None
            if owner is not None and owner is not self._set:
                self._lose(
                    LossKind.OVERLAP,
                    Effect.LETS_THROUGH,
                    "hosts",
                    f"hosts of pin set {owner.name} are held against these pins",
                )

    # --- Trust and time ---------------------------------------------------------------------------

    def _trust(self, rule: Rule) -> None:
        trust, title = self._set.trust, self._semantics.title
        if self._semantics.verifies:
            if trust is Trust.PRIVATE:
                self._lose(
                    LossKind.ANCHORS,
                    Effect.REFUSES,
                    "anchors",
                    f"{title} has to trust the private anchors by other means: else it refuses all",
                )
                self._lose(
                    LossKind.ANCHORS,
                    Effect.LETS_THROUGH,
                    "anchors",
                    "a path to any anchor that the platform trusts counts, where a pin is on it",
                )
            if trust is Trust.PINS_ONLY:
                self._lose(
                    LossKind.CHAIN,
                    Effect.REFUSES,
                    "trust",
                    f"{title} verifies the chain too: a self-signed certificate is refused",
                )
                if rule.anywhere:
                    self._lose(
                        LossKind.CHAIN,
                        Effect.LETS_THROUGH,
                        "trust",
                        "a pin may match on a CA of the path",
                    )
            return
        if trust is not Trust.PINS_ONLY or self._set.check_name is not False:
            self._lose(
                LossKind.CHAIN,
                Effect.LETS_THROUGH,
                "trust",
                f"{title} checks the pin alone: neither the chain nor the name nor the dates",
            )
        elif self._set.check_validity is not False:
            self._lose(
                LossKind.CHAIN,
                Effect.LETS_THROUGH,
                "check_validity",
                f"{title} does not check the dates",
            )

    def _times(self) -> None:
        if self._set.report_only_until is not None:
            self._lose(
                LossKind.BREAK_GLASS,
                Effect.REFUSES,
                "report_only_until",
                f"{self._semantics.title} knows no break-glass: the set is enforced meanwhile",
            )

    def _expiry(self) -> date | None:
        expires = self._set.expires
        if expires is None or self._set.on_expiry is OnExpiry.ENFORCE:
            return None
        if self._semantics.expiry in (Expiry.NONE, Expiry.OF_LIST):
            self._lose(
                LossKind.EXPIRY,
                Effect.REFUSES,
                "expires",
                f"{self._semantics.title} knows no expiry: the pins are enforced beyond it",
            )
            return None
        if self._set.on_expiry is OnExpiry.REPORT_ONLY:
            self._lose(
                LossKind.EXPIRY,
                Effect.NEITHER,
                "on_expiry",
                "after the expiry nothing is reported",
            )
        is_local = self._semantics.expiry is Expiry.LOCAL_DAY
        day = _first_midnight(expires + (EASTERNMOST if is_local else timedelta()), UTC)
        if is_local or expires.astimezone(UTC) != datetime.combine(day, datetime.min.time(), UTC):
            zone = "the device's own time" if is_local else "UTC"
            self._lose(
                LossKind.EXPIRY,
                Effect.REFUSES,
                "expires",
                f"the pins are enforced until {day} begins in {zone}, up to two days longer",
            )
        return day

    def _lose(self, kind: LossKind, effect: Effect, key: str, consequence: str) -> None:
        place = place_of(self._set.name)
        self._losses.append(
            Loss(
                kind=kind,
                effect=effect,
                place=f"{place}.{key}" if key else place,
                consequence=consequence,
                subject=self._set.name,
            )
        )


def _first_midnight(time: datetime, zone: tzinfo) -> date:
    """Return the first day that begins at a time or after it."""
    local = time.astimezone(zone)
    is_midnight = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    return local.date() if is_midnight else (local + _ONE_DAY).date()
