"""The pinned server sends the client on to a host without pins.

    https://localhost/   leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    -> 307 https://127.0.0.1/, same port: leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin follows, and talks.

A pinning client must not follow from a pinned host to one that no pin set covers, though its policy
lets such hosts pass otherwise: what it would have said to the pinned host it says to whoever has a
certificate. An `ssl` context does not know why it connects: the HTTP library has to be told.
Clients that have the same pins for all hosts refuse anyway.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import lead_on
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = True
HOLDS = ("the server's key",)
FOLLOWS = True


def policy(stage: Stage) -> str:
    """Pin the name alone, and let other hosts pass."""
    return stage.policy_toml(hosts=(stage.host,), unlisted="allow")


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key once the client was sent on."""
    server: LabServer
    elsewhere = stage.rogue.issue(LOOPBACK)
    talk = lead_on(LOOPBACK, [lambda: server.switch(elsewhere)])
    server = LabServer(stage.server, dialogue=talk)
    return server


def honest(stage: Stage) -> LabServer:
    """Send the client on within the host."""
    return LabServer(stage.server, dialogue=lead_on(stage.host))
