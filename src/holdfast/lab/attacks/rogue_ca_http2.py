"""The attacker's server agrees on HTTP/2.

    leaf (attacker's key) <- Rogue root (trusted)
    ALPN: h2, if the client offers it, else http/1.1

A client that does not pin sees what it sees in `rogue_ca`, and talks.

A pinning client must refuse, whichever protocol is agreed on. Many have a connection class, or a
whole stack, for each, and a check that was put into one of them: this is the control for those.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.http2 import http2_server
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2025-5025",)


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key, and prefer HTTP/2."""
    return http2_server(stage.rogue.issue(stage.host))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key, and prefer HTTP/2."""
    return http2_server(stage.server)
