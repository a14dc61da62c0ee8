"""Another CA that the client trusts certifies the attacker's key.

    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin sees a certificate for the right name from a CA in its trust store: an
inspection proxy's, a compromised one, or one that got into the store unnoticed. It talks.

A pinning client must refuse: no pinned key is on the verified path. All other attacks on the chain
are this one in disguise, and this is the control of them all: who falls for it has no pins at work.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2019-11324",)


def rogue(stage: Stage) -> LabServer:
    """Show what the rogue root issued for the name."""
    return LabServer(stage.rogue.issue(stage.host))
