"""An IMAP server that does not offer STARTTLS.

    CAPABILITY -> IMAP4rev1, without STARTTLS; LOGIN is welcome in the clear

A client that does not pin, but insists on TLS, gives up: nobody is fooled who does. This is the
control for clients that take TLS when it is offered and do without when it is not: whoever sits on
the path strikes out the offer.

A pinning client must give up: without TLS there is no path on which a pin could be.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import imap_in_the_clear
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
TRANSPORT = "imap"


def rogue(stage: Stage) -> LabServer:
    """Let everybody log in, in the clear."""

    async def talk(stream: ServerStream) -> None:
        await imap_in_the_clear(stream, b"* OK lab\r\n")

    return LabServer(stage.rogue.issue(stage.host), starttls=talk)
