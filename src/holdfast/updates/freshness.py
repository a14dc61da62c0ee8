"""How old a signed policy may be, and what may never be undone. Pure: the time is an argument.

1. The order of policies is (epoch, serial). The epoch stands in what the offline threshold signs:
   a serial of 2^63 - 1 is not the end, since a higher epoch starts again.
2. The floor only rises. Its time is that of accepted timestamps, never a bundle's `issued`.
3. The clock that counts never runs behind the floor: setting it back makes nothing fresh again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

__all__ = ["Floor", "State", "state_of", "trusted_now"]

_NOTHING = timedelta()


class State(StrEnum):
    """How far the policy in force can be relied on to be the newest."""

    EMPTY = "empty"
    SEED = "seed"
    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


def state_of(
    expires: datetime, now: datetime, hard_limit: timedelta, *, is_complete: bool = True
) -> State:
    """Say how old a policy is that came with an update.

    Args:
        expires: The time at which its timestamp metadata expire, with an offset.
        now: The time that counts (`trusted_now`).
        hard_limit: How long after `expires` it is stale and no worse.
        is_complete: Whether all that must come with it came, the deny list above all. Without it
            the policy is stale at best: otherwise one withheld file would hide a denied key.

    Returns:
        FRESH before `expires`, as TUF counts (specification section 5.4.4); STALE from then on;
        EXPIRED once the limit has passed.

    Raises:
        ValueError: A time has no offset, or the limit is negative.
    """
    _require_offset(expires)
    _require_offset(now)
    if hard_limit < _NOTHING:
        raise ValueError("the hard limit is negative")
    # A difference, since a sum could lie beyond the year 9999.
    age = now - expires
    if age < _NOTHING:
        return State.FRESH if is_complete else State.STALE
    return State.STALE if age < hard_limit else State.EXPIRED


@dataclass(frozen=True, slots=True)
class Floor:
    """The newest that was ever accepted: nothing older is.

    Attributes:
        epoch: At least 0.
        serial: Of that epoch; at least 0, which no document has.
        time: The latest time at which a timestamp was accepted, with an offset.

    Raises:
        ValueError: A number is negative, or the time has no offset.
    """

    epoch: int
    serial: int
    time: datetime

    def __post_init__(self) -> None:
        """Check that floors can be compared."""
        _require_offset(self.time)
        if min(self.epoch, self.serial) < 0:
            raise ValueError("epoch and serial are not negative")

    def admits(self, epoch: int, serial: int) -> bool:
        """Tell whether a document is not older than what was accepted; the same again is not."""
        return (epoch, serial) >= (self.epoch, self.serial)

    def raised_by(self, other: Floor) -> Floor:
        """Return the floor that both give: the higher order and the later time, each by itself."""
        epoch, serial = max((self.epoch, self.serial), (other.epoch, other.serial))
        raised = Floor(epoch, serial, max(self.time, other.time))
        return self if raised == self else raised


def trusted_now(clock: datetime, floor: Floor) -> datetime:
    """Return the time that counts: what the clock says, and never less than the floor's time.

    Raises:
        ValueError: The clock gives no offset.
    """
    _require_offset(clock)
    return max(clock, floor.time)


def _require_offset(time: datetime) -> None:
    if time.utcoffset() is None:
        raise ValueError("the time has no offset")
