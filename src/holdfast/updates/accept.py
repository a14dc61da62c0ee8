"""What of verified files is accepted: rules that a good signature does not settle. Pure.

1. What is shipped with the application, the seed, is where all measuring begins. The bundle of the
   offline threshold is measured by the seed, and becomes the measure; the bundle of the role `pins`
   is measured by that, and may change pins only.
2. A weakening needs the offline threshold *and* the client's leave. One stolen online key could
   otherwise make any host pins-only with a leaf of the thief's.
3. Nothing below the floor is accepted, whoever signed it.
4. The emergency role alone may not deny all that a set has: that would lock everybody out. Such a
   list is not applied, and the policy counts as incomplete. Nor does a list that cannot be read
   keep pins back.
5. Denials outlast the file that brought them, until a higher epoch says what still holds; only the
   offline threshold can begin one.
6. Denials do not wait for pins: where those are withheld or refused, the deny list of the same
   state counts for what is in force. Rule 4 holds there too, and once more when pins come: denials
   that were made meanwhile may leave nothing to them, and then they are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.errors import HoldfastError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.document import (
    BreakGlass,
    DenyList,
    break_glass_from_bytes,
    bundle_from_bytes,
    deny_list_from_bytes,
)
from holdfast.updates.effective import effective_policy, wholly_denied
from holdfast.updates.freshness import Floor
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.weakening import Kind, changes, may_be_made_by_pins_role, weakens

__all__ = ["Accepted", "Given", "accept", "denials_in", "denied_by", "remembered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The contents of verified files.

    Attributes:
        pins: `pins/bundle.json`.
        policy: `policy/bundle.json`, where there is one.
        emergency: `emergency/deny.json`; None where it cannot be had.
        break_glass: `breakglass/sets.json`, where there is one.
        epoch: Of the top-level targets.
        expires: When the state is no longer fresh, with an offset.
        problems: Why something that must be there is not.
    """

    pins: bytes
    policy: bytes | None
    emergency: bytes | None
    break_glass: bytes | None
    epoch: int
    expires: datetime = field(compare=False)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What came of it.

    Attributes:
        policy: With denials and break-glass on top.
        epoch: With the serial, its order.
        serial: Within the epoch.
        denied: The keys that are denied now.
        expires: When it is no longer fresh.
        refresh: How long to wait before asking again.
        is_complete: Whether the deny list was there and is applied.
        notes: What did not apply, in words: each is an alarm.
        locked_out: The sets to which the keys that were denied before leave nothing.
    """

    policy: Policy
    epoch: int
    serial: int
    denied: frozenset[Pin]
    expires: datetime
    refresh: timedelta
    is_complete: bool
    notes: tuple[str, ...]
    locked_out: tuple[str, ...]


def accept(
    given: Given,
    *,
    seed: Policy | None,
    floor: Floor,
    denied: frozenset[Pin],
    now: datetime,
    allow_weakening: bool,
) -> Accepted:
    """Decide whether verified files may be in force.

    Args:
        given: The files.
        seed: The policy that was shipped; without one the offline bundle has to be there.
        floor: Nothing below it is accepted.
        denied: Keys that were denied before, in this epoch.
        now: The time that counts, with an offset.
        allow_weakening: Whether the offline threshold may weaken the seed.

    Raises:
        UpdateError: It may not; the text says what stands against it.
        PolicyError: A document has a mistake, or is in a format of a newer Holdfast.
    """
    bundle = bundle_from_bytes(given.pins, now=now)
    if not floor.admits(given.epoch, bundle.serial):
        raise UpdateError(
            f"serial {bundle.serial} of epoch {given.epoch} is older than what was accepted before "
            f"(serial {floor.serial} of epoch {floor.epoch})"
        )
    measure = _measure(given, seed, now, allow_weakening=allow_weakening)
    found = changes(measure, bundle.policy)
    if not may_be_made_by_pins_role(found):
        raise UpdateError(
            "the role `pins` may change pins only, and its bundle "
            f"{in_words(change for change in found if change.kind is not Kind.PINS)}",
            hint="have such a change signed by the offline threshold, as policy/bundle.json",
        )
    notes = list(given.problems)
    deny = DenyList(serial=1, denied=denied)
    if given.emergency is not None:
        try:
            told = denied_by(given.emergency, bundle.policy, denied)
            deny = DenyList(serial=1, denied=denied | told)
        except HoldfastError as error:
            notes.append(str(error))
    break_glass = _break_glass(given, notes)
    is_complete = given.emergency is not None and not notes
    effective = effective_policy(bundle.policy, deny, break_glass, now)
    return Accepted(
        policy=effective.policy,
        epoch=given.epoch,
        serial=bundle.serial,
        denied=deny.denied,
        expires=given.expires,
        refresh=bundle.refresh,
        is_complete=is_complete,
        notes=(*notes, *effective.notes),
        locked_out=_emptied(bundle.policy, denied) if denied else (),
    )


def denied_by(emergency: bytes, policy: Policy, denied: frozenset[Pin]) -> frozenset[Pin]:
    """Return the keys that a deny list denies to a policy.

    Args:
        emergency: The content of `emergency/deny.json`.
        policy: What the list is measured by.
        denied: Keys that were denied before.

    Raises:
        UpdateError: It leaves nothing to a set (rule 4).
        PolicyError: It has a mistake, or is in a format of a newer Holdfast.
    """
    told = deny_list_from_bytes(emergency).denied
    if locked_out := set(_emptied(policy, denied | told)) - set(_emptied(policy, denied)):
        raise UpdateError(
            "the deny list is not applied: it leaves nothing to "
            f"{', '.join(sorted(locked_out))}, which the emergency role alone may not do"
        )
    return told


def _emptied(policy: Policy, denied: frozenset[Pin]) -> tuple[str, ...]:
    return wholly_denied(policy, DenyList(serial=1, denied=denied))


def remembered(epoch: int, denied: Iterable[Pin]) -> tuple[str, ...]:
    """Return denials as text to be kept, with the epoch in which they were made."""
    return tuple(f"{epoch} {pin}" for pin in denied)


def denials_in(epoch: int, kept: Iterable[str]) -> frozenset[Pin]:
    """Return the denials that hold in an epoch: a higher one has begun anew.

    What cannot be read is an error: it may not count as nothing.

    Raises:
        UpdateError: An entry is damaged.
    """
    denied = set()
    for entry in kept:
        made_in, _, text = entry.partition(" ")
        try:
            if int(made_in) >= epoch:
                denied.add(Pin.parse(text))
        except ValueError as error:
            raise UpdateError("a denial that was kept cannot be read") from error
    return frozenset(denied)


def _measure(given: Given, seed: Policy | None, now: datetime, *, allow_weakening: bool) -> Policy:
    """Return the policy that the bundle of `pins` is measured by."""
    if given.policy is None:
        if seed is None:
            raise UpdateError(
                "there is nothing to measure the bundle by",
                hint="ship a seed, or have policy/bundle.json signed by the offline threshold",
            )
        return seed
    policy = bundle_from_bytes(given.policy, now=now, source="policy/bundle.json").policy
    if seed is not None and not allow_weakening:
        found = changes(seed, policy)
        if weakens(found):
            raise UpdateError(
                "policy/bundle.json weakens what the application was shipped with: it "
                f"{in_words(change for change in found if change.kind is Kind.WEAKENING)}",
                hint="ship a new seed, or allow weakening",
            )
    return policy


def _break_glass(given: Given, notes: list[str]) -> BreakGlass | None:
    if given.break_glass is None:
        return None
    try:
        return break_glass_from_bytes(given.break_glass)
    except HoldfastError as error:
        notes.append(str(error))
        return None
