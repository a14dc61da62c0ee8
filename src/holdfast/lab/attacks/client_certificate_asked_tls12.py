"""The attacker's server asks for the client's certificate, on TLS 1.2.

    leaf (attacker's key) <- Rogue root (trusted)
    CertificateRequest naming the honest root

A client that does not pin shows its certificate, if it has one, and talks.

A pinning client must refuse, and before its own certificate leaves: that says who the user is.
On TLS 1.2 it is sent
in the clear, behind the server's first flight and before the handshake is over: a check afterwards
is too late for it.
"""

from __future__ import annotations

import ssl

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True


def rogue(stage: Stage) -> LabServer:
    """Ask as the attacker."""
    return _server(stage.rogue.issue(stage.host), stage)


def honest(stage: Stage) -> LabServer:
    """Ask with the pinned key."""
    return _server(stage.server, stage)


def _server(identity: Identity, stage: Stage) -> LabServer:
    return LabServer(
        identity,
        minimum_version=ssl.TLSVersion.TLSv1_2,
        maximum_version=ssl.TLSVersion.TLSv1_2,
        client_anchors=[stage.honest],
        require_client_certificate=False,
    )
