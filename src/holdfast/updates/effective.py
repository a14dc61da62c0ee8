"""The policy in force: what was signed, with the deny list and break-glass on top. Pure.

1. Denied keys are only ever added.
2. Break-glass makes a set report-only for at most seven days from the time that counts, and ends by
   itself. It never reaches private and pins-only sets, where pins are all there is to check, nor
   strict ones, where somebody has ruled it out.
3. A denied key is refused under break-glass too: `evaluate` looks for it first.
4. What does not apply is said and leaves the policy as it was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from holdfast.certificates.spki import spki_of
from holdfast.pins.evaluate import effective_mode
from holdfast.pins.pin import Pin, quoted
from holdfast.pins.pin_set import Mode, PinSet, Require, Trust
from holdfast.pins.policy import BREAK_GLASS_LIMIT, Policy
from holdfast.updates.document import BreakGlass, DenyList

__all__ = ["Effective", "effective_policy", "wholly_denied"]


class Effective(NamedTuple):
    """A policy in force, and in words what of the deny list and break-glass did not apply."""

    policy: Policy
    notes: tuple[str, ...] = ()


def effective_policy(
    policy: Policy, deny: DenyList | None, break_glass: BreakGlass | None, time: datetime
) -> Effective:
    """Put the deny list and break-glass on top of a policy.

    Args:
        policy: What the signed bundle, or the seed, says.
        deny: The deny list, if there is one.
        break_glass: The sets that are to be report-only for a while, if there are any.
        time: The time that counts (`trusted_now`), with an offset. The result holds for it: an end
            that lies too far ahead of it now will not do so later.

    Returns:
        The very policy that was given where nothing applies.
    """
    added = sorted(deny.denied.difference(policy.denied), key=str) if deny is not None else []
    notes: list[str] = []
    opened = _opened(policy, break_glass, time, notes) if break_glass is not None else {}
    if added or opened:
        policy = replace(
            policy,
            denied=(*policy.denied, *added),
            pin_sets=tuple(opened.get(one.name, one) for one in policy.pin_sets),
        )
    return Effective(policy, tuple(notes))


def wholly_denied(policy: Policy, deny: DenyList) -> tuple[str, ...]:
    """Return the names of the sets that nothing could satisfy any more, because of denied keys.

    Hosts with pins of their own are sets of one host, unless a file has those of all hosts: it is
    asked for one host at a time.

    The emergency role alone may not cause that: whoever holds its key could lock everybody out.
    A certificate pin counts as not denied, since its key is not known.

    Raises:
        CertificateError: A private set has an anchor that is no certificate.
    """
    denied = deny.denied.union(policy.denied)
    sets = {one.name: one for one in policy.pin_sets}
    if isinstance(policy.host_pins, MappingProxyType):
        sets |= {
            f"host {host}": one for host in policy.host_pins if (one := policy.pin_set_for(host))
        }
    return tuple(name for name, one in sets.items() if _is_wholly_denied(one, denied))


def _is_wholly_denied(pin_set: PinSet, denied: frozenset[Pin]) -> bool:
    if pin_set.trust is Trust.PRIVATE and denied.issuperset(
        Pin.of_spki(spki_of(anchor)) for anchor in pin_set.anchors
    ):
        return True
    if not pin_set.pins:
        return False
    without_leaf = denied.issuperset(pin_set.leaf + pin_set.backup)
    without_ca = denied.issuperset(pin_set.ca)
    if pin_set.require is Require.LEAF_AND_CA:
        return without_leaf or without_ca
    return without_leaf and without_ca


def _opened(
    policy: Policy, break_glass: BreakGlass, time: datetime, notes: list[str]
) -> dict[str, PinSet]:
    """Return the sets that break-glass changes, by name, and note what it does not reach."""
    pin_sets = {pin_set.name: pin_set for pin_set in policy.pin_sets}
    opened = {}
    for name, until in sorted(break_glass.until.items()):
        pin_set = pin_sets.get(name)
        why_not = _hindrance(pin_set)
        if why_not is None and until - time > BREAK_GLASS_LIMIT:
            why_not = f"it would last more than {BREAK_GLASS_LIMIT.days} days"
        if why_not is not None or pin_set is None:
            notes.append(f"break-glass for {quoted(name)} has no effect: {why_not}")
        elif until > time and not _is_open_until(pin_set, until, time):
            opened[name] = replace(pin_set, report_only_until=until)
    return opened


def _hindrance(pin_set: PinSet | None) -> str | None:
    """Say why break-glass has no effect on a set, if so."""
    if pin_set is None:
        return "the policy has no set of this name"
    if pin_set.strict:
        return "the set is strict"
    if pin_set.trust is not Trust.PUBLIC:
        return f"the set has {pin_set.trust.value} trust"
    return None


def _is_open_until(pin_set: PinSet, until: datetime, time: datetime) -> bool:
    """Tell whether a set is report-only by itself at least as long."""
    own = pin_set.report_only_until
    if pin_set.mode is Mode.REPORT_ONLY:
        return True
    return own is not None and own >= until and effective_mode(pin_set, time) is Mode.REPORT_ONLY
