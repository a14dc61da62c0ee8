"""What an update changes: the rule of each host under one policy beside that under another. Pure.

An update may not weaken without the offline threshold, and the online role `pins` may change pins
and nothing else: one stolen online key could otherwise make any host pins-only with a leaf of the
thief. Both are decided on the differences that `changes` finds.

1. Effective rules are compared, not texts: what counts for a host is the set that covers it, or
   `unlisted`. A new pattern that is more specific takes hosts out of the set that covered them.
2. Each host is like one of the representatives of the patterns of both policies.
3. A dropped pattern weakens even where another one covers its hosts then, unless with the same
   rule: somebody gave them a rule of their own. A new pattern strengthens, and its rule is compared
   with the one before.
4. A host that was refused as unlisted and gets any rule is a weakening, and the reverse none.
5. Any change of `clients` weakens: more identities are accepted, or fewer are told from the rest.
6. A denied key weakens when it is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from holdfast.pins.host_pattern import HostPattern, representatives
from holdfast.pins.pin_set import OnExpiry, PinSet, Trust, place_of
from holdfast.pins.policy import OnStale, Policy, Unlisted
from holdfast.updates.rule_comparison import (
    Change,
    Kind,
    kind_of,
    list_difference,
    rule_changes,
    some,
)

__all__ = ["Change", "Kind", "changes", "may_be_made_by_pins_role", "weakens"]

_KINDS = list(Kind)
_UNLISTED = [Unlisted.REFUSE, Unlisted.REPORT_ONLY, Unlisted.ALLOW]
_ON_STALE = [OnStale.REFUSE, OnStale.ENFORCE, OnStale.REPORT_ONLY]


def changes(baseline: Policy, update: Policy) -> tuple[Change, ...]:
    """Compare two policies.

    Args:
        baseline: The policy that what may change is measured by.
        update: The one that is to take its place.

    Returns:
        The differences, each once, what weakens first; none where both say the same, in whatever
        order their sets and lists stand.
    """
    if baseline is update:
        return ()
    found = dict.fromkeys(
        (
            *_setting_changes(baseline, update),
            *_host_changes(baseline, update),
            *_client_changes(baseline, update),
        )
    )
    return tuple(sorted(found, key=lambda change: _KINDS.index(change.kind)))


def may_be_made_by_pins_role(found: Iterable[Change]) -> bool:
    """Tell whether the signature of the online role `pins` is enough for these changes."""
    return all(change.kind is Kind.PINS for change in found)


def weakens(found: Iterable[Change]) -> bool:
    """Tell whether one of these changes needs the client's leave to weaken."""
    return any(change.kind is Kind.WEAKENING for change in found)


def _setting_changes(baseline: Policy, update: Policy) -> Iterator[Change]:
    for key, order in (("unlisted", _UNLISTED), ("on_stale", _ON_STALE)):
        old, new = getattr(baseline, key), getattr(update, key)
        if old is not new:
            is_looser = order.index(new) > order.index(old)
            yield Change(
                f"holdfast.{key}",
                f"{key} goes from {old.value} to {new.value}",
                kind_of(is_looser=is_looser, is_tighter=True),
            )
    if added := set(update.denied) - set(baseline.denied):
        words = f"denies {some(sorted(map(str, added)))}"
        yield Change("holdfast.denied", words, Kind.STRENGTHENING)
    if removed := set(baseline.denied) - set(update.denied):
        words = f"denies no longer {some(sorted(map(str, removed)))}"
        yield Change("holdfast.denied", words, Kind.WEAKENING)


class _Meeting(NamedTuple):
    """The sets that cover some hosts before and after; None where they are unlisted."""

    old: PinSet | None
    new: PinSet | None


_Names = tuple[str | None, str | None]


def _host_changes(baseline: Policy, update: Policy) -> Iterator[Change]:
    owned, owned_now = _owners(baseline), _owners(update)
    meetings: dict[_Names, _Meeting] = {}
    hosts: dict[_Names, dict[str, None]] = {}
    met: dict[HostPattern, list[_Names]] = {}
    for pattern in owned | owned_now:
        for name in representatives(pattern):
            old, new = baseline.pin_set_for(name), update.pin_set_for(name)
            names = (old.name if old else None, new.name if new else None)
            meetings[names] = _Meeting(old, new)
            hosts.setdefault(names, {})[name.replace("*.*.", "**.")] = None
            if (pattern in owned) is not (pattern in owned_now):
                met.setdefault(pattern, []).append(names)
    same: set[_Names] = set()
    for names, meeting in meetings.items():
        found = list(_meeting_changes(meeting, some(list(hosts[names])), baseline, update))
        if None not in names and all(change.kind is Kind.NEUTRAL for change in found):
            same.add(names)
        yield from found
    for pattern, owner in owned_now.items():
        former = owned.get(pattern, owner)
        if former.name != owner.name:
            words = f"{pattern} moves here from pin set {former.name}"
            yield Change(f"{place_of(owner.name)}.hosts", words, Kind.NEUTRAL)
    for pattern, all_names in met.items():
        is_new = pattern in owned_now
        owner = owned_now[pattern] if is_new else owned[pattern]
        kinds = {
            _kind_of_pattern(meetings[names], baseline, update, is_new=is_new)
            for names in all_names
            if names not in same
        }
        words = f"{pattern} is {'new' if is_new else 'dropped'}"
        for kind in kinds or {Kind.NEUTRAL}:
            yield Change(f"{place_of(owner.name)}.hosts", words, kind)


def _owners(policy: Policy) -> dict[HostPattern, PinSet]:
    return {pattern: pin_set for pin_set in policy.pin_sets for pattern in pin_set.hosts}


def _kind_of_pattern(meeting: _Meeting, baseline: Policy, update: Policy, *, is_new: bool) -> Kind:
    """Say what it does to some of its hosts that a pattern is new, or dropped."""
    if meeting.old is None:
        was_refused = baseline.unlisted is Unlisted.REFUSE
        return Kind.WEAKENING if was_refused else Kind.STRENGTHENING
    if meeting.new is None:
        is_refused = update.unlisted is Unlisted.REFUSE
        return Kind.STRENGTHENING if is_refused else Kind.WEAKENING
    return Kind.STRENGTHENING if is_new else Kind.WEAKENING


def _meeting_changes(
    meeting: _Meeting, hosts: str, baseline: Policy, update: Policy
) -> Iterator[Change]:
    old, new = meeting
    if old is not None and new is not None:
        return rule_changes(old, new, None if old.name == new.name else hosts)
    if old is not None:
        return _beside_unlisted(old, update.unlisted, hosts, is_new=False)
    if new is not None:
        return _beside_unlisted(new, baseline.unlisted, hosts, is_new=True)
    raise AssertionError("a pattern of either policy covers its representatives in that one")


def _beside_unlisted(
    pin_set: PinSet, unlisted: Unlisted, hosts: str, *, is_new: bool
) -> Iterator[Change]:
    """Compare a set with what happens to unlisted hosts: public trust, no pins, a report or none.

    Where unlisted hosts are refused, nothing is to be compared.
    """
    if unlisted is Unlisted.REFUSE:
        return
    place = place_of(pin_set.name)
    direction = "from unlisted to" if is_new else "to unlisted from"
    if pin_set.trust is not Trust.PUBLIC:
        words = f"trust for {hosts} goes {direction} {pin_set.trust.value}"
        yield Change(f"{place}.trust", words, Kind.WEAKENING)
    if pin_set.on_expiry is OnExpiry.ALLOW and unlisted is Unlisted.REPORT_ONLY:
        words = f"what happens to {hosts} after expiry goes {direction} {OnExpiry.ALLOW.value}"
        yield Change(f"{place}.on_expiry", words, kind_of(is_looser=is_new, is_tighter=not is_new))


def _client_changes(baseline: Policy, update: Policy) -> Iterator[Change]:
    before = {pin_set.name: pin_set for pin_set in baseline.pin_sets}
    after = {pin_set.name: pin_set for pin_set in update.pin_sets}
    for name in before | after:
        old, new = before.get(name), after.get(name)
        old_clients, new_clients = old.clients if old else (), new.clients if new else ()
        words = list_difference("clients", old_clients, new_clients)
        if words:
            yield Change(f"{place_of(name)}.clients", words, Kind.WEAKENING)
        # A set for clients alone has no host under which the rest of it would have been compared.
        if old and new and (old_clients or new_clients):
            yield from rule_changes(old, new)
