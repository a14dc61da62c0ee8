"""From the rules of a platform to a policy, and what a policy does not say of them. Pure.

1. A pin without a place is taken for a leaf's, unless a chain shows it on a CA.
2. Nothing is made up: where a rule rests on one key, the policy says that this was accepted, and a
   loss says that nobody was asked.
3. Rules that add up (OkHttp) are added up here too, since one set alone counts for a host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from holdfast.formats.decide import rules_for
from holdfast.formats.host_cover import patterns_of
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Expiry, Overlap, Places, Rule, Semantics, moment_of
from holdfast.formats.rule_index import RuleIndex
from holdfast.formats.set_trust import EASTERNMOST
from holdfast.pins.host_pattern import HostPattern, representatives
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted

__all__ = ["Imported", "policy_of"]

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


class Imported(NamedTuple):
    """A policy, and what it does not say of the file that it comes from."""

    policy: Policy
    losses: tuple[Loss, ...]


def policy_of(
    rules: Sequence[Rule],
    semantics: Semantics,
    *,
    unlisted: Unlisted = Unlisted.ALLOW,
    ca_pins: Collection[Pin] = (),
    hosts: tuple[HostPattern, ...] = (),
) -> Imported:
    """Translate rules.

    Args:
        rules: What a platform's file says.
        semantics: How the platform understands that.
        unlisted: What is to happen to hosts that no rule covers.
        ca_pins: Pins that are known to be those of CAs.
        hosts: What the rules are for, where they name no host themselves.

    Raises:
        PolicyError: The rules cannot be a policy, as when a pattern stands in two of them.
    """
    losses: list[Loss] = []
    names: set[str] = set()
    pin_sets = []
    index = RuleIndex(rules)
    for rule in rules:
        name = _free_name(rule.name, names)
        if rule.exempt:
            if _is_within_another(rule, index):
                losses.append(_of_exemption(rule))
            continue
        if semantics.overlap is Overlap.UNION:
            rule = _with_wider(rule, index, semantics)  # noqa: PLW2901  the rule as it counts
        pin_set = _pin_set(
            rule, name, hosts or patterns_of(rule.hosts), semantics, frozenset(ca_pins), losses
        )
        pin_sets.append(pin_set)
    if semantics.overlap is Overlap.NEAREST:
        losses += _of_holes(index)
    return Imported(Policy(unlisted=unlisted, pin_sets=tuple(pin_sets)), tuple(losses))


def _pin_set(
    rule: Rule,
    name: str,
    hosts: tuple[HostPattern, ...],
    semantics: Semantics,
    ca_pins: frozenset[Pin],
    losses: list[Loss],
) -> PinSet:
    ca = (*rule.ca, *(pin for pin in rule.anywhere if pin in ca_pins))
    keys = (*rule.leaf, *(pin for pin in rule.anywhere if pin not in ca_pins))
    leaf, backup = keys[:1], keys[1:]
    if rule.anywhere and leaf:
        losses.append(
            _loss(
                LossKind.POSITION,
                Effect.REFUSES,
                name,
                f"{semantics.title} holds pins against the whole path; here "
                f"{leaf[0]} and what follows it match a leaf only",
            )
        )
    both = semantics.places is Places.BOTH_ROLES and bool(leaf) and bool(ca)
    if both:
        losses += _of_both(rule, name)
    is_enforced = rule.enforced
    single = is_enforced and not (leaf and backup) and len(ca) < 2
    if single or (both and is_enforced and not (backup and len(ca) > 1)):
        single = True
        losses.append(
            _loss(
                LossKind.NUMBER_OF_PINS,
                Effect.NEITHER,
                name,
                "the pins leave no way out when a key is lost, and nobody was asked whether that "
                "is accepted: add a backup pin and remove `single_pin`",
            )
        )
    pinned_only = not semantics.verifies
    if pinned_only and ca:
        raise AssertionError("a platform without chain verification holds pins against leaves")
    expires = None
    if rule.expires is not None:
        expires = moment_of(rule.expires)
        if semantics.expiry is Expiry.LOCAL_DAY:
            expires -= EASTERNMOST
            losses.append(
                _loss(
                    LossKind.EXPIRY,
                    Effect.LETS_THROUGH,
                    name,
                    "the pins end where the day begins first on earth: elsewhere they were "
                    "enforced up to 26 hours longer",
                )
            )
    return PinSet(
        name=name,
        hosts=hosts,
        mode=Mode.ENFORCE if is_enforced else Mode.REPORT_ONLY,
        leaf=leaf,
        backup=backup,
        ca=ca,
        require=Require.LEAF_AND_CA if both else Require.LEAF_OR_CA,
        trust=Trust.PINS_ONLY if pinned_only else Trust.PUBLIC,
        check_name=False if pinned_only else None,
        check_validity=False if pinned_only else None,
        expires=expires,
        on_expiry=OnExpiry.ALLOW if expires is not None else None,
        single_pin=ACCEPT_LOCK_OUT if single else None,
    )


def _of_both(rule: Rule, name: str) -> Iterable[Loss]:
    if rule.anywhere:
        yield _loss(
            LossKind.LEAF_AND_CA, Effect.REFUSES, name, "a leaf pin and a CA pin have to match"
        )


def _of_exemption(rule: Rule) -> Loss:
    hosts = ", ".join(entry.host for entry in rule.hosts)
    return _loss(
        LossKind.OVERLAP,
        Effect.REFUSES,
        rule.name,
        f"a policy has no hosts without pins below pinned ones: {hosts} follow the wider set",
    )


def _of_holes(index: RuleIndex) -> Iterable[Loss]:
    """Tell of hosts below an entry that covers itself only: no rule counts for them there."""
    for rule in index.rules:
        for entry in rule.hosts:
            below = f"x.{entry.host}"
            if entry.covers(below):
                continue
            for other in {id(one): one for _, one in index.covering(below)}.values():
                yield _loss(
                    LossKind.SUBDOMAINS,
                    Effect.REFUSES,
                    other.name,
                    f"hosts below {entry.host} are not pinned there, and are here",
                )


def _is_within_another(rule: Rule, index: RuleIndex) -> bool:
    names = [name for pattern in patterns_of(rule.hosts) for name in representatives(pattern)]
    return any(
        other is not rule and not other.exempt
        for name in names
        for _, other in index.covering(name)
    )


def _with_wider(rule: Rule, index: RuleIndex, semantics: Semantics) -> Rule:
    """Add the pins of the rules that count for all hosts of a rule beside it."""
    hosts = [name for pattern in patterns_of(rule.hosts) for name in representatives(pattern)]
    counting = [rules_for(index, semantics, name) for name in hosts]
    beside = [
        other
        for other in (counting[0] if counting else ())
        if other is not rule and all(other in more for more in counting[1:])
    ]
    return replace(
        rule,
        anywhere=_once(rule.anywhere, *(other.anywhere for other in beside)),
        leaf=_once(rule.leaf, *(other.leaf for other in beside)),
        ca=_once(rule.ca, *(other.ca for other in beside)),
    )


def _once(*groups: tuple[Pin, ...]) -> tuple[Pin, ...]:
    return tuple(dict.fromkeys(pin for group in groups for pin in group))


def _free_name(wish: str, names: set[str]) -> str:
    """Return a name for a pin set that is not taken, and take it."""
    plain = "".join(one if one in _NAME_CHARACTERS else "-" for one in wish).strip("-") or "hosts"
    name, number = plain, 1
    while name in names:
        number += 1
        name = f"{plain}-{number}"
    names.add(name)
    return name


def _loss(kind: LossKind, effect: Effect, name: str, consequence: str) -> Loss:
    return Loss(
        kind=kind,
        effect=effect,
        place=f"pin_set.{name}",
        consequence=consequence,
        subject=name,
    )
