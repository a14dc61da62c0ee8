"""The honest server's own chain, shown by somebody who does not have its key.

    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    the key exchange is signed by another key

A client that does not pin, but finishes the handshake, sees a signature that is not the leaf's and
refuses. This is the control for clients that look at the certificates and connect anyway: the chain
is public, and all pins match on it.

A pinning client must refuse: a pin says which key the server has to *prove* that it holds.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = False


def rogue(stage: Stage) -> LabServer:
    """Show the honest chain without its key."""
    chain = [der(certificate) for certificate in stage.server.chain]

    async def pretend(stream: ServerStream) -> None:
        await stream.write(flight_without_key(chain, await read_client_random(stream)))
        while await stream.read():
            pass

    return LabServer(stage.rogue.issue(stage.host), starttls=pretend)
