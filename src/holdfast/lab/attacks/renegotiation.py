"""A TLS 1.2 server asks for a second handshake and shows another key in it.

    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted), then, on the same connection,
    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin does both handshakes, verifies both certificates, and goes on: from then
on it talks to the attacker.

A pinning client must not do the second, or must judge its path like that of the first: a pin that
is checked once says nothing about the keys that the connection has later. How an attacker comes to
splice two connections is the triple handshake attack. The control is one handshake with the pinned
key, since no client has to renegotiate: TLS 1.3 has done away with it.
"""

from __future__ import annotations

import ssl

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import lead_on
from holdfast.lab.renegotiation import renegotiating_server
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.SESSION
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2014-1295",)
HOLDS = ("the server's key",)
FOLLOWS = True


def rogue(stage: Stage) -> LabServer:
    """Begin with the pinned key and go on with the attacker's."""
    return renegotiating_server(stage.server, stage.rogue.issue(stage.host))


def honest(stage: Stage) -> LabServer:
    """Send the client on too, as an ordinary server of TLS 1.2."""
    return LabServer(
        stage.server, maximum_version=ssl.TLSVersion.TLSv1_2, dialogue=lead_on(stage.host)
    )
