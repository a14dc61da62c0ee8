"""A trusted leaf of the attacker's, followed by a hundred certificates.

    leaf (attacker's key) <- Rogue root (trusted)
    + 99 times the honest issuing CA, then the honest server's leaf (pinned), none on the path

A client that does not pin sees a long Certificate message, still below the 100 KB at which OpenSSL
gives up, ignores the rest and talks.

A pinning client must refuse, and in bounded time: only what is on the verified path is worth
looking at. A limit to how much is searched must end in a refusal.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2016-2402",)


def rogue(stage: Stage) -> LabServer:
    """Append a hundred certificates, the pinned one last."""
    padding = [stage.issuing.certificate] * 99
    return LabServer(stage.rogue.issue(stage.host).with_chain(*padding, stage.server.certificate))
