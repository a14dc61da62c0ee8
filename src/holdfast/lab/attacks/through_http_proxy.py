"""The attacker's server answers through an HTTP proxy.

    HTTPS_PROXY=http://localhost, CONNECT localhost in the clear, then TLS:
    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin, and takes its proxy from the environment, asks the proxy for a tunnel,
sees what it sees in `rogue_ca`, and talks.

A pinning client must refuse: a proxy is what most interception is done by. Libraries have a way of
their own from the tunnel into TLS, past the one in which a check was put.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.proxied import http_proxy
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = True
STANDS_FOR = ("aiohttp issue 6652",)
PROXY = "http"
MAY_DECLINE = "the client does not take an HTTP proxy from its environment"


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key behind the proxy."""
    return http_proxy(stage.rogue.issue(stage.host))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key behind the proxy."""
    return http_proxy(stage.server)
