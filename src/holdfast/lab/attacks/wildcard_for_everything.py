"""A certificate for the name "*".

    leaf for * (attacker's key) <- Honest issuing CA (pinned) <- Honest root (trusted)

A client that does not pin, but verifies, takes a star for one label of a longer name and refuses.
This is the control for clients that match names as the shell matches files.

A pinning client, whose policy pins the CA here, must refuse: a pin does not repair a name that fits
everything.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a certificate for a star."""
    return LabServer(stage.issuing.issue("*", common_name="attacker.example"))
