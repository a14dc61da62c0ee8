"""The pinned key in a certificate that is not valid yet.

    leaf (pinned key, valid from tomorrow) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin, but verifies, sees that its time has not come and refuses. This is the
control for clients that pin *instead of* verifying, or look at the end of validity only.

A pinning client must refuse: the pin does not make the certificate valid.
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
    """Show the right key in a certificate of the future."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return LabServer(stage.issuing.issue(stage.host, key=stage.server.key, not_before=tomorrow))
