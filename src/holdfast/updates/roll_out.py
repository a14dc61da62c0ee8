"""A policy that some clients try before the others, and which clients these are. Pure.

A bundle may carry, beside its policy (the stable one), a candidate:

    "candidate": {"basis_points": 250, "policy": {...}, "salt": "AAECAwQFBgcICQoLDA0ODw=="}

1. A client draws its lot from the salt and a value of its own, the installation value, which never
   leaves the machine. The lot is its own for as long as the salt stays the same.
2. More basis points with the same salt only move clients from the stable policy to the candidate,
   fewer only move them back. A new salt draws the lots anew: not the same clients are always first.
3. The share is a whole number, hundredths of a percent: it has one text, and no rounding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from holdfast.errors import PolicyError, Problem
from holdfast.pins.field_readers import wrong_type
from holdfast.pins.policy import Policy

if TYPE_CHECKING:
    from holdfast.updates.document import Bundle

__all__ = [
    "EVERYBODY",
    "SALT_BYTES",
    "Candidate",
    "chosen_policy",
    "in_order_of_names",
    "is_chosen",
    "read_basis_points",
    "read_salt",
    "salt_text",
]

EVERYBODY = 10_000  # basis points
SALT_BYTES = 16
_SALT_FIX = f"write {SALT_BYTES} random bytes in base64, with padding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy on its way to be the stable one.

    Attributes:
        policy: Its sets stand in the order of their names, as in a bundle.
        basis_points: Of how many of 10,000 clients it is the policy; 0 takes it back.
        salt: 16 random bytes, the same for as long as the policy is.

    Raises:
        PolicyError: A value is out of range.
    """

    policy: Policy
    basis_points: int
    salt: bytes

    def __post_init__(self) -> None:
        """Check the ranges and sort the sets."""
        problems: list[Problem] = []
        read_basis_points(self.basis_points, "basis_points", problems)
        if len(self.salt) != SALT_BYTES:
            problems.append(Problem("salt", f"it has {len(self.salt)} bytes", _SALT_FIX))
        if problems:
            raise PolicyError(problems, source="candidate")
        object.__setattr__(self, "policy", in_order_of_names(self.policy))

    @property
    def percent(self) -> str:
        """The share of clients in percent, as people write it."""
        return f"{(Decimal(self.basis_points) / 100).normalize():f}"


def is_chosen(candidate: Candidate, installation: bytes) -> bool:
    """Tell whether a candidate is the policy of an installation.

    Args:
        candidate: The candidate.
        installation: The installation value.
    """
    digest = hashlib.sha256(candidate.salt + installation).digest()
    return int.from_bytes(digest, "big") % EVERYBODY < candidate.basis_points


def chosen_policy(bundle: Bundle, installation: bytes) -> Policy:
    """Return the policy of a bundle that is meant for an installation; see `is_chosen`."""
    candidate = bundle.candidate
    if candidate is not None and is_chosen(candidate, installation):
        return candidate.policy
    return bundle.policy


def in_order_of_names(policy: Policy) -> Policy:
    """Return a policy with its sets in the only order that canonical JSON has."""
    pin_sets = tuple(sorted(policy.pin_sets, key=lambda pin_set: pin_set.name))
    return policy if pin_sets == policy.pin_sets else replace(policy, pin_sets=pin_sets)


def read_basis_points(value: object, place: str, problems: list[Problem]) -> int | None:
    """Read the share of clients."""
    fix = f"write a whole number from 0 to {EVERYBODY}, hundredths of a percent"
    if type(value) is not int:
        problems.append(wrong_type(value, place, "a whole number", fix))
    elif not 0 <= value <= EVERYBODY:
        problems.append(Problem(place, "the share of clients is out of range", fix))
    else:
        return value
    return None


def read_salt(value: object, place: str, problems: list[Problem]) -> bytes | None:
    """Read the salt, which has one text as a pin has."""
    if not isinstance(value, str):
        problems.append(wrong_type(value, place, "text", _SALT_FIX))
        return None
    try:
        salt = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        salt = b""
    if len(salt) != SALT_BYTES or salt_text(salt) != value:
        problems.append(Problem(place, "this is no salt", _SALT_FIX))
        return None
    return salt


def salt_text(salt: bytes) -> str:
    """Return a salt as it is written."""
    return base64.b64encode(salt).decode("ascii")
