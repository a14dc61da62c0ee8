"""The answer of `evaluate`, and what is reported when it refuses or would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from holdfast.pins.chain import PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet


class Outcome(StrEnum):
    """What came of it; the first of these that applies."""

    UNDECIDABLE = "undecidable"
    UNTRUSTED = "untrusted"
    DENIED = "denied"
    NOT_PINNED = "not-pinned"
    MATCH = "match"
    EXPIRED = "expired"
    MISMATCH = "mismatch"


class Role(StrEnum):
    """Where on the path a pin may match. A CA is any place but the leaf."""

    LEAF = "leaf"
    CA = "ca"


class Observed(StrEnum):
    """What a refusal saw, never that it is harmless: mis-issuance looks just like a rotation."""

    NEW_KEY = "new-key"
    NEW_ISSUER = "new-issuer"
    PRIVATE_ANCHOR = "private-anchor"
    OTHER_PATH = "other-path"
    CLOCK = "clock"
    WRONG_HOST = "wrong-host"
    EXPIRED_PINS = "expired-pins"
    DENIED_KEY = "denied-key"
    SELF_SIGNED = "self-signed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Match:
    """A pin and the place on the path at which it matched; position 0 is the leaf."""

    pin: Pin
    role: Role
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a connection may go on, and why.

    It has no truth value: `if evaluate(...)` would read "not pinned" as "pinned and fine".
    """

    outcome: Outcome
    allowed: bool
    violation: bool
    """Whether it refuses, or would if the set were enforced: what is counted and reported."""
    host: str
    """The canonical host name, or, of a client at a server, its identity."""
    reason: str
    mode: Mode | None = None
    pin_set: PinSet | None = None
    matched: Match | None = None
    chain: VerifiedChain | ProvenLeaf | PresentedChain | None = None
    hint: str | None = None
    is_client: bool = False
    """Whether it is a server that decides, on a client."""

    def __bool__(self) -> NoReturn:
        """Refuse to be used as a condition."""
        raise TypeError("a Verdict has no truth value; look at .allowed, .outcome or .violation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A verdict that refuses or would, with what is known of the connection: no request data."""

    verdict: Verdict
    observed: Observed
    time: datetime
    port: int | None = None
    presented: PresentedChain | None = None
