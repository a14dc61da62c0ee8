"""The CA of the honest server certifies the attacker's key.

    leaf (attacker's key) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin sees the chain that it always sees, with a new leaf, as after a renewal.
It talks.

A pinning client must refuse when it pins the server's key: the CA is the right one and the key is
not. A client that only looks for a change of issuer is fooled.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
HOLDS = ("the CA's key",)


def rogue(stage: Stage) -> LabServer:
    """Show a new key with a certificate from the honest CA."""
    return LabServer(stage.issuing.issue(stage.host))
