"""Another CA that the client trusts certifies the attacker's key, on TLS 1.2.

    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin sees what it sees in `rogue_ca`, and talks.

A pinning client must refuse. On TLS 1.2 the messages of a handshake come in another order than on
TLS 1.3, and a check that hangs on one of them may never run: this is the control for such checks,
and for the other attacks on TLS 1.2.
"""

from __future__ import annotations

import ssl

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True


def rogue(stage: Stage) -> LabServer:
    """Show what the rogue root issued for the name."""
    return _server(stage.rogue.issue(stage.host))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key on TLS 1.2."""
    return _server(stage.server)


def _server(identity: Identity) -> LabServer:
    return LabServer(identity, maximum_version=ssl.TLSVersion.TLSv1_2)
