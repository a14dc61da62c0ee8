"""The host's name is the last of thousands in the certificate.

    leaf for 2500 names, localhost the last (attacker's key) <- Rogue root (trusted)

A client that does not pin finds the name, however many there are, and talks.

A pinning client must refuse, and in bounded time. A limit to how much of a certificate is looked at
must end in a refusal.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True

_NAMES = 2500  # some 80 KB; OpenSSL takes 100


def rogue(stage: Stage) -> LabServer:
    """Show a certificate of nearly the size at which OpenSSL gives up."""
    names = [f"name-{number}.attacker.example" for number in range(_NAMES - 1)]
    return LabServer(stage.rogue.issue(*names, stage.host))
