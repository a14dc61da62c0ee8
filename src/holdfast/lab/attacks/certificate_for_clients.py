"""A certificate that is for clients shown by a server.

    leaf (attacker's key, for client authentication only) <- Honest issuing CA (pinned)
                                                          <- Honest root (trusted)

A client that does not pin, but verifies, sees that the certificate is not for servers and refuses.
This is the control for clients that do not look at the extended key usage.

A pinning client, whose policy pins the CA here, must refuse: each user or device may have such a
certificate from the same CA, with a name of its own choice, and is no server for that reason.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a client's certificate that names the host."""
    return LabServer(stage.issuing.issue(stage.host, usage="client"))
