"""The pinned key in a certificate that names no host.

    leaf without a name (pinned key) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin, but verifies, finds no name that could be the one it asked for and
refuses. This is the control for clients that check names only where there are some, or that do not
say which host they mean: then there is nothing to compare, and nothing is.

A pinning client must refuse: without a name the certificate was not made for this host.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2026-19553",)
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the server's key", "the CA's key")


def rogue(stage: Stage) -> LabServer:
    """Show the right key under no name; what stands as common name is none."""
    nameless = stage.issuing.issue(key=stage.server.key, common_name="A server")
    return LabServer(nameless)
