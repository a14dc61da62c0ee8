"""What was published, how the roles of a repository stand, and what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.errors import UpdateError
from holdfast.updates.document_text import MAX_SERIAL
from holdfast.updates.roll_out import in_order_of_names

if TYPE_CHECKING:
    from holdfast.pins.policy import Policy
    from holdfast.updates.document import Bundle
    from holdfast.updates.roll_out import Candidate
    from holdfast.updates.weakening import Change

__all__ = ["HostPublication", "Publication", "RoleStatus", "other_candidate", "serial_after"]


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes:
        serial: Of the bundle.
        changes: Beside what was published before, or of a candidate beside the stable policy; what
            weakens stands first.
        signed: The roles that have signed.
        candidate: What some clients follow from now on, if it is not for all.
        dropped: The candidate that is gone with it, and has become neither this one nor stable.
    """

    serial: int
    changes: tuple[Change, ...]
    signed: tuple[str, ...]
    candidate: Candidate | None = None
    dropped: Candidate | None = None


@dataclass(frozen=True, slots=True)
class HostPublication:
    """What was published for single hosts.

    Attributes:
        serial: Of the bundle, which is the same otherwise.
        hosts: How many have pins of their own now.
        bins: How many bins were signed.
        has_index: Whether there is a file of all of them.
    """

    serial: int
    hosts: int
    bins: int
    has_index: bool


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """How a role stands.

    Attributes:
        role: Its name.
        version: Of its metadata.
        expires: When it has to be signed again, with an offset.
        threshold: How many signatures it takes.
        keys: How many keys there are.
        at_hand: How many of them are here.
        owners: Whose they are.
        differs: Where `repository.toml` wants something else, in words.
    """

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: int
    at_hand: int
    owners: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def serial_after(bundle: Bundle | None) -> int:
    """Return the serial that comes after that of a bundle.

    Raises:
        UpdateError: It was the last.
    """
    serial = 1 if bundle is None else bundle.serial + 1
    if serial > MAX_SERIAL:
        raise UpdateError(
            f"no serial is left: {serial - 1} is published, which is the last",
            hint="begin a new epoch with the offline keys: `holdfast updates new-epoch`",
        )
    return serial


def other_candidate(before: Bundle | None, policy: Policy) -> Candidate | None:
    """Return the candidate of a bundle, unless it says what a policy says."""
    candidate = before.candidate if before is not None else None
    if candidate is None or candidate.policy == in_order_of_names(policy):
        return None
    return candidate
