"""From a policy to the rules of a platform, and what gets lost on the way. Pure.

1. Whatever the rules decide otherwise than the policy is a loss, with its effect; a test holds the
   two against each other for random policies, hosts and paths.
2. Where a set cannot be said at all, nothing of it is: half of it would refuse what it allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from holdfast.formats.host_cover import cover
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.overlaps import merged, overlaps
from holdfast.formats.platform import Overlap, Rule, Semantics
from holdfast.formats.set_hosts import exemption_of, hosts_of, left_out
from holdfast.formats.set_pins import pins_of
from holdfast.formats.set_translation import SetTranslation
from holdfast.formats.set_trust import expiry_of, tell_of_break_glass, tell_of_trust
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

__all__ = ["Translated", "rules_of"]


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
        rule = _rule_of(SetTranslation(policy, pin_set, semantics, owners, losses))
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


def _rule_of(one: SetTranslation) -> Rule | None:
    """Return the rule, or None where there is nothing to say or no way to say it."""
    pin_set, semantics = one.pin_set, one.semantics
    if pin_set.clients:
        one.lose(LossKind.CLIENTS, Effect.NEITHER, "clients", "clients of a server are not pinned")
    covers = cover(pin_set.hosts, semantics) if semantics.hosts else ()
    if semantics.hosts and not covers:
        return None
    is_report_only = pin_set.mode is Mode.REPORT_ONLY
    if is_report_only and not semantics.report_only:
        return exemption_of(one)
    pins = pins_of(one)
    if pins is None:
        return left_out(one)
    rule = replace(
        pins,
        enforced=not is_report_only,
        expires=expiry_of(one),
        hosts=hosts_of(one, covers),
    )
    tell_of_trust(one, rule)
    tell_of_break_glass(one)
    return rule if rule.hosts or not semantics.hosts else None
