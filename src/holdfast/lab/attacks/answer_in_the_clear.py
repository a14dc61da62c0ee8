"""The attacker answers the handshake in plain text.

    ClientHello -> HTTP/1.1 200 OK, without TLS

A client that does not pin sees no TLS record and gives up: nobody is fooled who insists on TLS.
This is the control for clients that fall back, and for TLS layers that hand on what arrived before
the handshake as if it had been protected.

A pinning client must give up, read nothing of it, and send nothing in the clear.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2023-40217",)
MASVS = ("MASVS-NETWORK-1",)

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nrogue\n"


def rogue(stage: Stage) -> LabServer:
    """Answer whatever comes with plain text."""
    return LabServer(stage.rogue.issue(stage.host), starttls=_answer)


async def _answer(stream: ServerStream) -> None:
    stream.expect_records()
    await stream.read()
    await stream.write(_ANSWER)
