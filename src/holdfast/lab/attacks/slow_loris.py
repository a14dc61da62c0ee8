"""A handshake that comes byte by byte.

    ServerHello, Certificate ... one byte every 100 ms, for nearly two minutes

A client that does not pin waits until its time limit for the whole handshake and gives up: nobody
is fooled. This is the control for clients that have no limit, or one that starts anew with each
byte, and for checks that wait without one.

A pinning client must give up in time. That it hung is a finding of its own.
"""

from __future__ import annotations

import asyncio
import contextlib

from holdfast.lab.attack import AttackClass
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)

_PAUSE = 0.1  # seconds


def rogue(stage: Stage) -> LabServer:
    """Send the honest chain, very slowly."""
    chain = [der(certificate) for certificate in stage.server.chain]

    async def drip(stream: ServerStream) -> None:
        flight = flight_without_key(chain, await read_client_random(stream))
        for byte in flight:
            await stream.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    if not await stream.read():
                        return

    return LabServer(stage.rogue.issue(stage.host), starttls=drip)
