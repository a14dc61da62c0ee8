"""A valid leaf below the pinned CA, whose certificate has expired.

    leaf (attacker's key, valid) <- Honest issuing CA (pinned, expired yesterday) <- Honest root

A client that does not pin, but verifies, sees that the CA's time is over and refuses. This is the
control for clients that look at the times of the leaf only.

A pinning client, whose policy pins the CA here, must refuse: nobody looks after the key of a CA
that is no more, and leaves can be made with it for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TIME
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Certify the host with the CA's key after its time."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    name, key = "Honest issuing CA", stage.issuing.key
    expired = stage.honest.intermediate(name, key=key, not_after=yesterday)
    return LabServer(expired.issue(stage.host))
