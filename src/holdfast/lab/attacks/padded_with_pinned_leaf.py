"""A trusted chain of the attacker's with the pinned leaf appended.

    leaf (attacker's key) <- Rogue root (trusted)
    + the honest server's leaf (pinned), sent along, signed by nobody on the path

A client that does not pin ignores the extra certificate and talks.

A pinning client must match its pins on the path that was verified, where the pinned leaf is not. A
certificate is public: everybody can send it. Who searches what was *sent* finds the pin.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2016-2402",)


def rogue(stage: Stage) -> LabServer:
    """Append the pinned leaf."""
    return LabServer(stage.rogue.issue(stage.host).with_chain(stage.server.certificate))
