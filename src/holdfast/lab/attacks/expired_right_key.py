"""The pinned key in a certificate that has expired.

    leaf (pinned key, expired yesterday) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin, but verifies, sees that the time is over and refuses. This is the
control for clients that pin *instead of* verifying.

A pinning client must refuse: a certificate that is not valid any more is how a key that got lost
runs out, and the pin does not make it valid again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TIME
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the server's key", "the CA's key")


def rogue(stage: Stage) -> LabServer:
    """Show the right key in a certificate of the past."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return LabServer(stage.issuing.issue(stage.host, key=stage.server.key, not_after=yesterday))
