"""Rules that meet: where a platform takes a host once, or does not let the most specific count.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Overlap, PlatformHost, Rule, Semantics
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin_set import place_of

__all__ = ["at_and_above", "merged", "overlaps"]


def merged(rules: list[Rule], semantics: Semantics, losses: list[Loss]) -> list[Rule]:
    """Let no host stand in two rules, where the platform takes it once."""
    owners: dict[str, int] = {}
    merged: list[Rule] = []
    for rule in rules:
        position = len(merged)
        kept = []
        for entry in rule.hosts:
            if entry.host in owners:
                other = owners[entry.host]
                merged[other] = _joined(merged[other], entry, rule)
                losses += _of_joining(merged[other], rule, entry, semantics)
            else:
                owners[entry.host] = position
                kept.append(entry)
        is_whole = len(kept) == len(rule.hosts)
        merged.append(rule if is_whole else replace(rule, hosts=tuple(kept)))
    return [rule for rule in merged if rule.hosts]


def _joined(rule: Rule, entry: PlatformHost, other: Rule) -> Rule:
    """Let a rule accept the pins of another too, for an entry that both have."""
    hosts = tuple(
        PlatformHost(one.host, one.kinds | entry.kinds) if one.host == entry.host else one
        for one in rule.hosts
    )
    return replace(
        rule,
        hosts=hosts,
        anywhere=tuple(dict.fromkeys(rule.anywhere + other.anywhere)),
        leaf=tuple(dict.fromkeys(rule.leaf + other.leaf)),
        ca=tuple(dict.fromkeys(rule.ca + other.ca)),
        exempt=rule.exempt and other.exempt,
    )


def _of_joining(
    rule: Rule, other: Rule, entry: PlatformHost, semantics: Semantics
) -> Iterator[Loss]:
    for subject in (rule.name, other.name):
        for effect in (Effect.LETS_THROUGH, Effect.REFUSES):
            yield Loss(
                kind=LossKind.OVERLAP,
                effect=effect,
                place=f"{place_of(subject)}.hosts",
                consequence=f"{semantics.title} takes {entry.host} once: it and the hosts below it "
                f"follow {rule.name} with the pins of {other.name} beside its own",
                subject=subject,
            )


def overlaps(rules: list[Rule], semantics: Semantics) -> Iterator[Loss]:
    """Tell of rules that count for the same hosts, where the most specific one does not alone."""
    owners: dict[str, list[tuple[PlatformHost, Rule]]] = {}
    for rule in rules:
        for entry in rule.hosts:
            owners.setdefault(entry.host, []).append((entry, rule))
    for rule in rules:
        for entry in rule.hosts:
            for above in at_and_above(entry.host):
                for other_entry, other in owners.get(above, ()):
                    if other is not rule and _meet(entry, other_entry):
                        yield from _of_overlap(rule, other, semantics)


def _of_overlap(rule: Rule, other: Rule, semantics: Semantics) -> Iterator[Loss]:
    how = (
        "adds the pins of all rules up"
        if semantics.overlap is Overlap.UNION
        else "does not say which rule counts"
    )
    effects = [Effect.LETS_THROUGH]
    if semantics.overlap is not Overlap.UNION:
        effects.append(Effect.REFUSES)
    for subject in (rule.name, other.name):
        for effect in effects:
            yield Loss(
                kind=LossKind.OVERLAP,
                effect=effect,
                place=f"{place_of(subject)}.hosts",
                consequence=f"{semantics.title} {how}, where {rule.name} and {other.name} cover "
                "the same hosts",
                subject=subject,
            )


def at_and_above(host: str) -> Iterator[str]:
    """Yield a host and the names above it, the nearest first; of an address only itself."""
    yield host
    while not is_ip_literal(host) and "." in host:
        host = host.partition(".")[2]
        yield host


def _meet(one: PlatformHost, other: PlatformHost) -> bool:
    """Tell whether two entries may have hosts in common."""
    names = {
        name
        for entry in (one, other)
        for name in (entry.host, f"x.{entry.host}", f"x.x.{entry.host}")
    }
    return any(one.covers(name) and other.covers(name) for name in names)
