"""A name with white space around it.

    leaf for " localhost " (attacker's key) <- Honest issuing CA (pinned) <- Honest root (trusted)

A client that does not pin, but verifies, compares the name as it stands and refuses. This is the
control for clients that tidy names up before they compare.

A pinning client, whose policy pins the CA here, must refuse: what is no host name is none, whatever
it looks like.
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
    """Show a certificate for a name with spaces in it."""
    name = f" {stage.host} "
    return LabServer(stage.issuing.issue(name, common_name="attacker.example"))
