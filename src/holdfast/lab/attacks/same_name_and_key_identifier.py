"""Copies of the honest leaf and CA that differ in their keys only.

    leaf (attacker's key)             <- Honest issuing CA (attacker's key) <- Rogue root (trusted)
    serial, names, times, key identifiers are those of the honest leaf and of the honest CA

A client that does not pin sees a valid path to a trusted root and talks.

A pinning client, whose policy pins the CA here, must compare keys. Names, serial numbers and key
identifiers are text that the issuer chooses, and prove nothing.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Authority, Identity, new_key
from holdfast.lab.issuance import certified_again
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2024-2048",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show the copies."""
    ca_key, key = new_key(), new_key()
    ca = Authority(
        ca_key, certified_again(stage.issuing.certificate, stage.rogue.signer, key=ca_key)
    )
    leaf = certified_again(stage.server.certificate, ca.signer, key=key)
    return LabServer(Identity(key, (leaf, ca.certificate)))
