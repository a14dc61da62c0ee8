"""A CA below a CA that may have none below it.

    leaf (attacker's key) <- Reseller's CA <- Limited CA (no CA below it) <- Honest root (pinned)

A client that does not pin, but verifies, sees that the path is longer than the second CA allows and
refuses. This is the control for clients that build the path themselves and ask of each certificate
whether it is a CA's, but not how many may follow.

A pinning client, whose policy pins the root here, must refuse: what the root's owner has limited
does not count beyond that limit.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Limits
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the root above the server's certificates."""
    return stage.honest.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Certify the host by one CA too many."""
    limited = stage.honest.intermediate("Limited CA", limits=Limits(path_length=0))
    return LabServer(limited.intermediate("Reseller's CA").issue(stage.host))
