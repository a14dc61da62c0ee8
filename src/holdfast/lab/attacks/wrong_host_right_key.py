"""The pinned key in a certificate for another host.

    leaf for elsewhere.invalid (pinned key) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin, but verifies, sees that the name is not the one it asked for and
refuses. This is the control for clients that pin *instead of* checking the name.

A pinning client must refuse: a pin comes on top of verification. One key may serve many hosts, and
who runs one of them is not for that reason all of them.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2026-19553",)
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the server's key", "the CA's key")


def rogue(stage: Stage) -> LabServer:
    """Show the right key under a wrong name."""
    return LabServer(stage.issuing.issue("elsewhere.invalid", key=stage.server.key))
