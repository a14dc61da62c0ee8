"""The attacker's server behind the host name written in capitals.

    https://LOCALHOST/
    leaf for localhost (attacker's key) <- Rogue root (trusted)

A client that does not pin compares names without case, as it has to, and talks.

A pinning client must find the pins: names have no case. Who looks them up letter by letter finds
none and lets the connection pass.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True


def host(stage: Stage) -> str:
    """Return the name in capitals."""
    return stage.host.upper()


def policy(stage: Stage) -> str:
    """Let hosts that no pin set covers pass, as most applications have to."""
    return stage.policy_toml(unlisted="allow")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key under the name as it is usually written."""
    return LabServer(stage.rogue.issue(stage.host))
