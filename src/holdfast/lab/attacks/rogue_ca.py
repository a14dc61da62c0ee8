"""Another CA that the client trusts certifies the attacker's key.

    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin sees a certificate for the right name from a CA in its trust store: an
inspection proxy's, a compromised one, or one that got into the store unnoticed. It talks.

A pinning client must refuse: no pinned key is on the verified path. All other attacks on the chain
are this one in disguise.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass, Stage
from holdfast.lab.server import LabServer

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2019-11324",)


def rogue(stage: Stage) -> LabServer:
    """Show what the rogue root issued for the name."""
    return LabServer(stage.rogue.issue(stage.host))
