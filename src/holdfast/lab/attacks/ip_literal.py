"""The attacker's server behind an IP address instead of a name.

    https://127.0.0.1/
    leaf for 127.0.0.1 (attacker's key) <- Rogue root (trusted)

A client that does not pin sees a certificate for the address that it asked for and talks.

A pinning client, whose policy lists the address, must find the pins. An address is not sent as
server name (SNI), so that a look-up by server name finds nothing.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True


def host(_stage: Stage) -> str:
    """Return the address that the server listens on, for which `Stage.server` is certified too."""
    return LOOPBACK


def policy(stage: Stage) -> str:
    """Let hosts that no pin set covers pass, as most applications have to."""
    return stage.policy_toml(unlisted="allow")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key under the address."""
    return LabServer(stage.rogue.issue(host(stage)))
