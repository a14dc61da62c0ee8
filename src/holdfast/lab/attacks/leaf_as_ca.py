"""A leaf that plays CA.

    leaf (attacker's key) <- leaf for attacker.example <- Honest issuing CA (pinned) <- Honest root
                             certified in good order, and no CA

A client that does not pin, but verifies, sees that the second certificate is not a CA's and
refuses: nobody is fooled who looks at the basic constraints. This is the control for clients that
build the path themselves and check signatures and names only.

A pinning client, whose policy pins the CA here, must not count a path on which somebody who was
certified for one host certifies another. All that the attacker has is a certificate of its own.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2002-0862", "CVE-2011-0228")
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Certify the host with the key of a leaf."""
    bought = stage.issuing.issue("attacker.example")
    as_ca = Authority(bought.key, bought.certificate, bought.chain)
    return LabServer(as_ca.issue(stage.host))
