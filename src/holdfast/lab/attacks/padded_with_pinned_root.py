"""A trusted chain of the attacker's with the whole honest chain appended, pinned root included.

    leaf (attacker's key) <- Rogue root (trusted)
    + Honest issuing CA <- Honest root (pinned, trusted), sent along, not on the path

A client that does not pin ignores the extra certificates and talks.

A pinning client, whose policy pins the root here, must match its pins on the path that was
verified. What is appended is a valid chain up to a trusted root: who verifies the certificates, but
not that the leaf leads to them, finds the pin.

The honest server of the control does not send its root, as is usual: the pin has to be found on the
verified path all the same.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2016-2402",)


def pinned_ca(stage: Stage) -> str:
    """Pin the root above the server's certificates."""
    return stage.honest.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Append the honest CA and the pinned root."""
    identity = stage.rogue.issue(stage.host)
    return LabServer(identity.with_chain(stage.issuing.certificate, stage.honest.certificate))
