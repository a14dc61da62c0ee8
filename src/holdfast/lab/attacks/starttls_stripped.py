"""A mail server that does not offer STARTTLS.

    EHLO -> 250, without STARTTLS; AUTH, MAIL and all that follows are welcome in the clear

A client that does not pin, but insists on TLS, gives up: nobody is fooled who does. This is the
control for clients that take TLS when it is offered and do without when it is not: whoever sits on
the path strikes out the offer.

A pinning client must give up: without TLS there is no path on which a pin could be.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = False
TRANSPORT = "smtp"
MASVS = ("MASVS-NETWORK-1",)

_ANSWERS = {
    b"STARTTLS": b"502 not here\r\n",
    b"AUTH": b"235 welcome\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}


def rogue(stage: Stage) -> LabServer:
    """Take mail in the clear."""
    return LabServer(stage.rogue.issue(stage.host), starttls=_take_mail)


async def _take_mail(stream: ServerStream) -> None:
    await stream.write(b"220 lab ESMTP\r\n")
    while line := await stream.read_line():
        command = line.split(maxsplit=1)[0].upper() if line.strip() else b""
        await stream.write(_ANSWERS.get(command, b"250 ok\r\n"))
