"""One name that looks like two once it is written down.

    leaf for "attacker.example, DNS:localhost", one name (attacker's key) <- Honest issuing CA
                                                             (pinned) <- Honest root (trusted)

A client that does not pin, but verifies, compares the name as it stands and refuses. This is the
control for clients that print the names of a certificate, as `openssl x509 -text` does, and take
that text apart again at its commas.

A pinning client, whose policy pins the CA here, must refuse.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2021-44532",)
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a certificate for a name with a comma in it."""
    name = f"attacker.example, DNS:{stage.host}"
    return LabServer(stage.issuing.issue(name, common_name="attacker.example"))
