"""The attacker's server asks for the client's certificate once the handshake is over.

    leaf (attacker's key) <- Rogue root (trusted), on TLS 1.3
    CertificateRequest naming the honest root, right behind the handshake (RFC 8446 section 4.6.2)

A client that does not pin talks, and shows its certificate, if it has one and has offered to be
asked, when it reads the first time.

A pinning client must judge the path before it reads: TLS answers such a request by itself while it
reads, whatever is done with what was read. This is the control for clients that hold their
certificate back in the handshake, and not afterwards.
"""

from __future__ import annotations

import contextlib
import ssl

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.dialogues import http_dialogue
from holdfast.lab.server import LabServer, ServerStream
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
    talk = http_dialogue(b"hello from the lab\n", {})

    async def ask_first(stream: ServerStream) -> None:
        with contextlib.suppress(ssl.SSLError):  # the client has not offered it
            await stream.ask_for_certificate()
        await talk(stream)

    return LabServer(
        identity,
        minimum_version=ssl.TLSVersion.TLSv1_3,
        client_anchors=[stage.honest],
        asks_later=True,
        dialogue=ask_first,
    )
