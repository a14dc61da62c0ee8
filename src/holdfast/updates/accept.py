"""What of verified files is accepted: rules that a good signature does not settle. Pure.

1. What is shipped with the application, the seed, is where all measuring begins. The bundle of the
   offline threshold is measured by the seed, and becomes the measure; the bundle of the role `pins`
   is measured by that, and may change pins only.
2. A weakening needs the offline threshold *and* the client's leave. One stolen online key could
   otherwise make any host pins-only with a leaf of the thief's.
3. Nothing below the floor is accepted, whoever signed it.
4. The emergency role alone may not deny all that a set, or a followed host, has: that would lock
   everybody out. Such a list is not applied, and the policy counts as incomplete. Nor does a list
   that cannot be read keep pins back.
5. Denials outlast the file that brought them, until a higher epoch says what still holds; only the
   offline threshold can begin one. Until its deny list is there and applied, all of them hold.
6. Denials do not wait for pins: where those are withheld or refused, the deny list of the same
   state counts for what is in force. Rule 4 holds there too, and once more when pins come: denials
   that were made meanwhile may leave nothing to them, and then they are refused.
7. A candidate is held to rule 1 and 2 as the stable policy is, and by every client: what one of
   them must refuse is refused by all, whichever part they follow. Only the bundle of `pins` has
   one, for it is no measure. Rule 4 looks at the part that the client follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from holdfast.errors import HoldfastError, Problem, UpdateError
from holdfast.pins.host_pins import HostPins, misfits, read_host_pins
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.document import (
    POLICY_TARGET,
    BreakGlass,
    DenyList,
    break_glass_from_bytes,
    bundle_from_bytes,
    deny_list_from_bytes,
)
from holdfast.updates.document_text import refusal
from holdfast.updates.effective import effective_policy, wholly_denied
from holdfast.updates.freshness import Floor
from holdfast.updates.roll_out import chosen_policy, is_chosen
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.weakening import Kind, changes, may_be_made_by_pins_role, weakens

__all__ = ["Accepted", "Given", "accept", "denials_in", "denied_by", "remembered"]


_BEFORE_ALL = 0  # no epoch is lower


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
        hosts: The entry of each followed host that has pins of its own.
        outdated: The hosts whose entry is not the newest, which could not be had.
        index: The pins of all hosts instead, where they are followed.
        problems: Why something that must be there is not.
    """

    pins: bytes
    policy: bytes | None
    emergency: bytes | None
    break_glass: bytes | None
    epoch: int
    expires: datetime = field(compare=False)
    hosts: Mapping[str, object] = field(default_factory=dict)
    outdated: frozenset[str] = frozenset()
    index: Mapping[str, HostPins] | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What came of it.

    Attributes:
        policy: With denials and break-glass on top.
        epoch: With the serial, its order.
        serial: Within the epoch.
        denied: The keys that are denied in this epoch, to be remembered.
        expires: When it is no longer fresh.
        refresh: How long to wait before asking again.
        is_complete: Whether the deny list was there and is applied.
        notes: What did not apply, in words: each is an alarm.
        locked_out: The sets to which the keys that were denied before leave nothing.
        is_staged: Whether there is a candidate beside the stable policy.
        is_candidate: Whether the policy is the candidate.
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
    is_staged: bool = False
    is_candidate: bool = False


def accept(
    given: Given,
    *,
    seed: Policy | None,
    floor: Floor,
    kept: frozenset[str],
    installation: bytes,
    now: datetime,
    allow_weakening: bool,
) -> Accepted:
    """Decide whether verified files may be in force.

    Args:
        given: The files.
        seed: The policy that was shipped; without one the offline bundle has to be there.
        floor: Nothing below it is accepted.
        kept: Denials that were remembered, as `remembered` has written them.
        installation: The installation value, from which a candidate's lot is drawn.
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
    _refuse_more_than_pins(measure, bundle.policy, "its bundle")
    candidate = bundle.candidate
    if candidate is not None:
        _refuse_more_than_pins(measure, candidate.policy, "the candidate in its bundle")
    policy = _with_host_pins(given, chosen_policy(bundle, installation))
    notes = list(given.problems)
    denied = denials_in(given.epoch, kept)
    deny = DenyList(serial=1, denied=denials_in(_BEFORE_ALL, kept))  # until there is a newer list
    if given.emergency is not None:
        try:
            denied |= denied_by(given.emergency, policy, denied)
            deny = DenyList(serial=1, denied=denied)
        except HoldfastError as error:
            notes.append(str(error))
    break_glass = _break_glass(given, notes)
    is_complete = given.emergency is not None and not notes
    effective = effective_policy(policy, deny, break_glass, now)
    return Accepted(
        policy=effective.policy,
        epoch=given.epoch,
        serial=bundle.serial,
        denied=denied,
        expires=given.expires,
        refresh=bundle.refresh,
        is_complete=is_complete,
        notes=(*notes, *effective.notes),
        locked_out=_emptied(policy, deny.denied) if deny.denied else (),
        is_staged=candidate is not None,
        is_candidate=candidate is not None and is_chosen(candidate, installation),
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


def _refuse_more_than_pins(measure: Policy, policy: Policy, what: str) -> None:
    found = changes(measure, policy)
    if not may_be_made_by_pins_role(found):
        raise UpdateError(
            f"the role `pins` may change pins only, and {what} "
            f"{in_words(change for change in found if change.kind is not Kind.PINS)}",
            hint="have such a change signed by the offline threshold, as policy/bundle.json",
        )


def _measure(given: Given, seed: Policy | None, now: datetime, *, allow_weakening: bool) -> Policy:
    """Return the policy that the bundle of `pins` is measured by."""
    if given.policy is None:
        if seed is None:
            raise UpdateError(
                "there is nothing to measure the bundle by",
                hint="ship a seed, or have policy/bundle.json signed by the offline threshold",
            )
        return seed
    bundle = bundle_from_bytes(given.policy, now=now, source=POLICY_TARGET)
    if bundle.candidate is not None:
        raise UpdateError(
            "policy/bundle.json has a candidate, which is no measure",
            hint="publish a candidate in pins/bundle.json only",
        )
    policy = bundle.policy
    if seed is not None and not allow_weakening:
        found = changes(seed, policy)
        if weakens(found):
            raise UpdateError(
                "policy/bundle.json weakens what the application was shipped with: it "
                f"{in_words(change for change in found if change.kind is Kind.WEAKENING)}",
                hint="ship a new seed, or allow weakening",
            )
    return policy


def _with_host_pins(given: Given, policy: Policy) -> Policy:
    """Let hosts have the pins of their own that were signed by the role `pins`.

    Rule 1 needs no look at them: they cannot change anything else. An older entry was signed for
    the sets of its time, so that it may not fit those of now. Then the set's pins count: whoever
    withholds the newer one could hold all the rest back otherwise.
    """
    if given.index is not None:
        return replace(policy, host_pins=given.index)
    if not given.hosts:
        return policy
    problems: list[Problem] = []
    pins = {
        host: read
        for host, entry in given.hosts.items()
        if (read := read_host_pins(entry, host, problems)) is not None
    }
    if problems:
        raise refusal(problems, "host pins")
    covering = {host: one for host in given.outdated if (one := policy.pin_set_for(host))}
    for host in given.outdated & pins.keys():
        if misfits({host: pins[host]}, covering):
            del pins[host]
    return replace(policy, host_pins=pins)


def _break_glass(given: Given, notes: list[str]) -> BreakGlass | None:
    if given.break_glass is None:
        return None
    try:
        return break_glass_from_bytes(given.break_glass)
    except HoldfastError as error:
        notes.append(str(error))
        return None
