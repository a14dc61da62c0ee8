"""The pinned key itself, after it was stolen and denied.

    leaf (pinned key, denied) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin sees the certificate that it always saw, and talks to the thief.

A pinning client, whose policy denies this key, must refuse, although the same policy still pins it:
a denied key is refused whatever else matches. The control is the backup key, which must be
accepted.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
HOLDS = ("the server's key",)


def denied(stage: Stage) -> tuple[str, ...]:
    """Deny the key that was pinned."""
    return (stage.pin,)


def rogue(stage: Stage) -> LabServer:
    """Show the stolen key."""
    return LabServer(stage.server)


def honest(stage: Stage) -> LabServer:
    """Show the backup key, as the owner does once the other was stolen."""
    return LabServer(stage.backup)
