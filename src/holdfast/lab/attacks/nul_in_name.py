"""A name that ends in the middle for who reads it as C does.

    leaf for localhost<NUL>.attacker.example (attacker's key) <- Honest issuing CA (pinned)

A client that does not pin, but verifies, compares the whole name and refuses. This is the control
for clients that take names out of the certificate themselves and cut them at the NUL: a CA has seen
to it that attacker.example belongs to the attacker, and to nothing else.

A pinning client, whose policy pins the CA here, must refuse: a pin does not say for whom the CA
made the certificate.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2009-2408", "CVE-2025-66220")
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a certificate for a name with a NUL in it."""
    name = f"{stage.host}\0.attacker.example"
    return LabServer(stage.issuing.issue(name, common_name="attacker.example"))
