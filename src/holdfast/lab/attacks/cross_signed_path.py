"""The pinned CA, cross-signed by the attacker's root, appended to the attacker's chain.

    leaf (attacker's key)             <- Rogue root (trusted)
    + Honest issuing CA (pinned key)  <- Rogue root (trusted), sent along, not on the leaf's path

A client that does not pin ignores the extra certificate and talks.

A pinning client, whose policy pins the CA here, must match on the leaf's path. Each certificate
that was sent is properly signed by a trusted root, so that to verify one by one is not enough: the
leaf has to lead to the pinned key.

The control is a true cross-signed path, leaf <- Honest issuing CA <- Rogue root, which an honest
server shows when its CA changes roots. The pinned key is on it: it must be accepted.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2016-2402",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Append the cross-signed certificate."""
    cross_signed = stage.rogue.cross_sign(stage.issuing)
    return LabServer(stage.rogue.issue(stage.host).with_chain(cross_signed.certificate))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key under the cross-signed CA."""
    cross_signed = stage.rogue.cross_sign(stage.issuing)
    return LabServer(stage.server.with_chain(cross_signed.certificate))
