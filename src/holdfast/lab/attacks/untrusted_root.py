"""The pinned CA, after its root was taken out of the trust store.

    leaf (attacker's key) <- Honest issuing CA (pinned) <- Honest root
    in this run, after the control, the root is not in `{anchors}` any more

A client that does not pin, but verifies, finds no way to a trusted root and refuses. This is the
control for clients that take what is pinned for an anchor, and end a path there.

A pinning client, whose policy pins the CA here, must refuse: pins narrow trust and never grant it.
Roots are taken out of the stores because those below them certify whatever they are paid for. Not
to connect at all is right here.
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


def misconfigure(stage: Stage) -> dict[str, str]:
    """Leave the attacker's root only."""
    return {"anchors": stage.rogue.pem}


def rogue(stage: Stage) -> LabServer:
    """Show what the pinned CA certified for the attacker."""
    return LabServer(stage.issuing.issue(stage.host))
