"""What Holdfast and the outside judges are asked about: a server, what is trusted, the pins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

if TYPE_CHECKING:
    from cryptography import x509

Pins = Callable[[Stage], Sequence[str]]


def no_pins(_stage: Stage) -> Sequence[str]:
    """Return the pins of who has none."""
    return ()


def both_roots(stage: Stage) -> Sequence[x509.Certificate]:
    """Return the honest root and the attacker's, which is trusted as in a compromised store."""
    return stage.honest.certificate, stage.rogue.certificate


def stage_host(stage: Stage) -> str:
    """Return the name that the stage's server is certified for."""
    return stage.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What a client pins.

    Attributes:
        leaf: Returns the pins for leaves.
        ca: Returns the pins for CAs.
        denied: Returns the pins of keys that are never accepted.
    """

    leaf: Pins = no_pins
    ca: Pins = no_pins
    denied: Pins = no_pins

    def policy(self, stage: Stage, host: str) -> Policy:
        """Return the policy that pins this for a host; a single pin is enough here."""
        leaf, ca, denied = (
            tuple(map(Pin.parse, pins(stage))) for pins in (self.leaf, self.ca, self.denied)
        )
        pin_set = PinSet(
            name="scenario",
            hosts=(HostPattern.parse(host),),
            mode=Mode.ENFORCE,
            leaf=leaf,
            ca=ca,
            single_pin=ACCEPT_LOCK_OUT,
        )
        return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,), denied=denied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A server, what the client trusts and pins, and what has to come of it.

    The certificates are made when it is run. The answer is written by hand and not taken from a
    run: Holdfast and OpenSSL build their paths with the same library, and could be wrong together.

    Attributes:
        name: What is special about it.
        accepted: Whether a pinning client must accept the server.
        server: Makes the server, not started.
        pins: What the client pins.
        trusted: Returns the client's trust anchors.
        host: Returns the name that the client asks for.
    """

    name: str
    accepted: bool
    server: Callable[[Stage], LabServer]
    pins: Pinned
    trusted: Callable[[Stage], Sequence[x509.Certificate]] = both_roots
    host: Callable[[Stage], str] = stage_host
