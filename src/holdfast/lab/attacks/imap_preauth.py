"""An IMAP server that greets as if the client had logged in already.

    * PREAUTH lab: with which a client is logged in from the start, and STARTTLS is out of place

A client that does not pin, but insists on TLS, gives up: nobody is fooled who does. This is the
control for clients that want TLS, are told that it is too late for it, and go on in the clear. They
need not log in, but store what they have written, and show what they are sent.

A pinning client must give up, whatever the server says that it is too late for.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import imap_in_the_clear
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2020-12398",)
MASVS = ("MASVS-NETWORK-1",)
TRANSPORT = "imap"


def rogue(stage: Stage) -> LabServer:
    """Say that there is nothing to protect any more."""

    async def talk(stream: ServerStream) -> None:
        await imap_in_the_clear(stream, b"* PREAUTH lab\r\n")

    return LabServer(stage.rogue.issue(stage.host), starttls=talk)
