"""The handshake ends in the middle of the honest server's chain.

    ServerHello, half of Certificate: leaf (pinned key) <- Honest iss | end of the connection

A client that does not pin sees that the connection ended too early and gives up: nobody is fooled.
This is the control for clients that take what they have seen of the chain for the chain.

A pinning client must give up with a network error, and send nothing in the clear.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)


def rogue(stage: Stage) -> LabServer:
    """Hang up in the middle of the last certificate."""
    chain = [der(certificate) for certificate in stage.server.chain]

    async def stop(stream: ServerStream) -> None:
        flight = flight_without_key(chain, await read_client_random(stream))
        await stream.write(flight[: flight.index(chain[-1]) + len(chain[-1]) // 2])

    return LabServer(stage.rogue.issue(stage.host), starttls=stop)
