"""A CA certifies a name that it may not certify.

    leaf (attacker's key) <- Customer's CA (for customer.example only) <- Honest root (pinned)

A client that does not pin, but verifies, sees that the name is not below customer.example and
refuses. This is the control for clients that build the path themselves, or whose verifier does not
apply name constraints to the name that was asked for.

A pinning client, whose policy pins the root here, must refuse: a root may stand above the CAs of
its customers, each of which has power over its own names and no others.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Limits
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2026-34073",)
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the root above the server's certificates."""
    return stage.honest.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Certify the host by a CA for other names."""
    limits = Limits(names=("customer.example",))
    customer = stage.honest.intermediate("Customer's CA", limits=limits)
    return LabServer(customer.issue(stage.host))
