"""The attacker's key is of an unusual kind: RSA-PSS.

    leaf (attacker's RSA-PSS key) <- Rogue root (trusted)

A client that does not pin, and whose TLS library knows such keys, sees what it sees in `rogue_ca`,
and talks.

A pinning client must refuse: what is to be compared is the digest of bytes, and those are there,
of whatever kind the key is. Who parses the key first, and has nothing to compare where that fails,
lets it pass. It is an RSA key under another identifier (RFC 4055 section 1.2).
In the control the honest server has an RSA-PSS key, which is pinned: it has to be accepted.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
MAY_DECLINE = "the client's TLS library does not know RSA-PSS keys"


def server(stage: Stage) -> Identity:
    """Pin an RSA-PSS key."""
    return stage.unusual("rsa-pss")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key."""
    return LabServer(stage.unusual("rsa-pss", stage.rogue))
