"""A trusted chain of the attacker's with the pinned CA appended.

    leaf (attacker's key) <- Rogue root (trusted)
    + Honest issuing CA (pinned), sent along, not on the path

A client that does not pin ignores the extra certificate and talks.

A pinning client, whose policy pins the CA here, must match its pins on the path that was verified.
Who searches what was *sent* finds the pin.
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
    """Append the pinned CA."""
    return LabServer(stage.rogue.issue(stage.host).with_chain(stage.issuing.certificate))
