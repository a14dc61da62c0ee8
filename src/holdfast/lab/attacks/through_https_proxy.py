"""The attacker's server answers through a proxy that has the pinned key.

    HTTPS_PROXY=https://localhost: leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    CONNECT localhost, then TLS within TLS: leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin, and takes its proxy from the environment, verifies both and talks.

A pinning client must judge each of the two handshakes: the proxy is the right one, and what is
behind it is not. Who looks at the outer one only has looked at the proxy, and not at the server.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.proxied import https_proxy
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2021-28363",)
HOLDS = ("the server's key",)
PROXY = "https"
MAY_DECLINE = "the client does not take an HTTPS proxy from its environment"


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key within the proxy's TLS."""
    return https_proxy(stage.server, stage.rogue.issue(stage.host))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key within the proxy's TLS."""
    return https_proxy(stage.server, stage.server)
