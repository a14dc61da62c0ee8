"""The attacker's server behind the host name written with a trailing dot.

    https://localhost./
    leaf for localhost and localhost. (attacker's key) <- Rogue root (trusted)

A client that does not pin sees a certificate for the name that it asked for and talks.

A pinning client must find the pins: `host.` is `host`, for the network and so for the policy. Who
looks it up letter by letter finds no pins and lets the connection pass. It may as well refuse the
name altogether; the control, the pinned key under both names, tells which.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2015-0832",)


def host(stage: Stage) -> str:
    """Return the name with the dot."""
    return f"{stage.host}."


def policy(stage: Stage) -> str:
    """Let hosts that no pin set covers pass, as most applications have to."""
    return stage.policy_toml(unlisted="allow")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key under the name in both spellings."""
    return LabServer(stage.rogue.issue(stage.host, host(stage)))


def honest(stage: Stage) -> LabServer:
    """Show the pinned key under the name in both spellings."""
    return LabServer(stage.issuing.issue(stage.host, host(stage), key=stage.server.key))
