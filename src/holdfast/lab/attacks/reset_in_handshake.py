"""The connection is reset in mid-handshake.

    ClientHello -> TCP RST

A client that does not pin sees a network error: nobody is fooled. This is the control for clients
that try again without TLS, or without their check.

A pinning client must give up with a network error, not with a pin violation, which would be a
false alarm, and send nothing in the clear.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import read_client_random
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)


def rogue(stage: Stage) -> LabServer:
    """Reset the connection once the ClientHello is there."""
    return LabServer(stage.rogue.issue(stage.host), starttls=_reset)


async def _reset(stream: ServerStream) -> None:
    await read_client_random(stream)
    stream.reset()
