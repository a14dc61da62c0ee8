"""The hosts of one set, as far as a platform can say them, and sets that are not pinned. Pure."""

from __future__ import annotations

from dataclasses import replace

from holdfast.formats.host_cover import Cover, cover, in_words
from holdfast.formats.loss import Effect, LossKind
from holdfast.formats.overlaps import at_and_above
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.set_translation import SetTranslation
from holdfast.pins.host_pattern import is_ip_literal

__all__ = ["exemption_of", "hosts_of", "left_out"]


def hosts_of(one: SetTranslation, covers: tuple[Cover, ...]) -> tuple[PlatformHost, ...]:
    """Return the entries for hosts, and say of which kinds of names they hold too few or more."""
    entries: list[PlatformHost] = []
    for covered in covers:
        entries += covered.entries
        if not covered.entries and is_ip_literal(covered.host):
            one.lose(
                LossKind.IP_ADDRESSES,
                Effect.LETS_THROUGH,
                "hosts",
                f"{one.title} cannot pin an address: {covered.host} is not pinned",
            )
            continue
        if covered.missing:
            one.lose(
                LossKind.SUBDOMAINS,
                Effect.LETS_THROUGH,
                "hosts",
                f"not pinned, since it cannot be said: of {covered.host}, "
                f"{in_words(covered.missing)}",
            )
        if covered.extra:
            one.lose(
                LossKind.SUBDOMAINS,
                Effect.REFUSES,
                "hosts",
                f"pinned too: of {covered.host}, {in_words(covered.extra)}",
            )
            _lose_others(one, covered)
    return tuple(entries)


def _lose_others(one: SetTranslation, covered: Cover) -> None:
    """Tell of hosts that another set covers and this set's entry takes from it."""
    names = {
        Kinds.APEX: covered.host,
        Kinds.ONE_BELOW: f"x.{covered.host}",
        Kinds.DEEPER: f"x.x.{covered.host}",
    }
    for kind, name in names.items():
        owner = one.policy.pin_set_for(name) if kind in covered.extra else None
        if owner is not None and owner is not one.pin_set:
            one.lose(
                LossKind.OVERLAP,
                Effect.LETS_THROUGH,
                "hosts",
                f"hosts of pin set {owner.name} are held against these pins",
            )


def exemption_of(one: SetTranslation) -> Rule | None:
    """Take a report-only set out of what is pinned: enforcing it would refuse."""
    one.lose(
        LossKind.REPORT_ONLY,
        Effect.NEITHER,
        "mode",
        f"{one.title} cannot report only: the hosts are not pinned, and nothing is reported",
    )
    return left_out(one)


def left_out(one: SetTranslation) -> Rule | None:
    """Keep a set out of what is pinned: an exemption where a wider set would take it over."""
    if not _is_within_another(one):
        return None
    if one.semantics.exemptions:
        entries = replace(one.semantics, entries=one.semantics.exemptions)
        covers = cover(one.pin_set.hosts, entries)
        for covered in covers:
            if covered.missing:
                one.lose(
                    LossKind.SUBDOMAINS,
                    Effect.REFUSES,
                    "hosts",
                    f"under a wider pin set: of {covered.host}, {in_words(covered.missing)}",
                )
        hosts = tuple(entry for covered in covers for entry in covered.entries)
        return Rule(name=one.pin_set.name, hosts=hosts, exempt=True)
    one.lose(
        LossKind.OVERLAP,
        Effect.REFUSES,
        "hosts",
        "a wider pin set takes the hosts over, and refuses what its own pins do not match",
    )
    one.lose(
        LossKind.OVERLAP,
        Effect.LETS_THROUGH,
        "hosts",
        "a wider pin set takes the hosts over, and accepts its own pins for them",
    )
    return None


def _is_within_another(one: SetTranslation) -> bool:
    return any(
        other.covers(pattern.host) or other.covers("x." + pattern.host)
        for pattern in one.pin_set.hosts
        for above in at_and_above(pattern.host)
        for other, pin_set in one.owners.get(above, ())
        if pin_set is not one.pin_set
    )
