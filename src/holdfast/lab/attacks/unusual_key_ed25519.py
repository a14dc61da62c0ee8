"""The attacker's key is of an unusual kind: Ed25519.

    leaf (attacker's Ed25519 key) <- Rogue root (trusted)

A client that does not pin, and whose TLS library knows such keys, sees what it sees in `rogue_ca`,
and talks.

A pinning client must refuse: what is to be compared is the digest of bytes, and those are there,
of whatever kind the key is. Who parses the key first, and has nothing to compare where that fails,
lets it pass. It is neither RSA nor a point on a NIST curve.
In the control the honest server has an Ed25519 key, which is pinned: it has to be accepted.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
MAY_DECLINE = "the client's TLS library does not know Ed25519 keys"


def server(stage: Stage) -> Identity:
    """Pin an Ed25519 key."""
    return stage.unusual("ed25519")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key."""
    return LabServer(stage.unusual("ed25519", stage.rogue))
