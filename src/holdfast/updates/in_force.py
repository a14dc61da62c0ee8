"""What of signed updates is in force, and how far it can be relied on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.pins.pin_set import Mode, Trust
from holdfast.updates.freshness import State, state_of

if TYPE_CHECKING:
    from holdfast.pins.policy import Policy
    from holdfast.updates.accept import Accepted

__all__ = ["HARD_LIMIT", "InForce", "in_force_of", "report_only"]

HARD_LIMIT = timedelta(days=90)
_FIRST_REFRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What is in force.

    Attributes:
        policy: The policy; None while there is none.
        epoch: Of it; 0 for a seed without one.
        serial: Of it; 0 for a seed without one.
        expires: When it is no longer fresh; None for a seed.
        is_complete: Whether all that belongs to it could be had.
        refresh: How long to wait before asking again.
        notes: What is wrong, in words.
        is_candidate: Whether it is the candidate of a roll-out, and not yet the stable policy.
    """

    policy: Policy | None
    epoch: int = 0
    serial: int = 0
    expires: datetime | None = None
    is_complete: bool = True
    refresh: timedelta = _FIRST_REFRESH
    notes: tuple[str, ...] = ()
    is_candidate: bool = False

    def state(self, now: datetime, hard_limit: timedelta = HARD_LIMIT) -> State:
        """Say how far it can be relied on to be the newest."""
        if self.policy is None:
            return State.EMPTY
        if self.expires is None:
            return State.SEED
        return state_of(self.expires, now, hard_limit, is_complete=self.is_complete)


def in_force_of(accepted: Accepted, notes: tuple[str, ...] = ()) -> InForce:
    """Return what is in force once verified files were accepted.

    Args:
        accepted: What came of them.
        notes: What is wrong beside that, in words.
    """
    return InForce(
        policy=accepted.policy,
        epoch=accepted.epoch,
        serial=accepted.serial,
        expires=accepted.expires,
        is_complete=accepted.is_complete,
        refresh=accepted.refresh,
        notes=(*notes, *accepted.notes),
        is_candidate=accepted.is_candidate,
    )


def report_only(policy: Policy) -> Policy:
    """Return a policy without enforcement, but where that was ruled out: strict or not public."""
    return replace(
        policy,
        pin_sets=tuple(
            pin_set
            if pin_set.strict or pin_set.trust is not Trust.PUBLIC
            else replace(pin_set, mode=Mode.REPORT_ONLY)
            for pin_set in policy.pin_sets
        ),
    )
