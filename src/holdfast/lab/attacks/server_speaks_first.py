"""The attacker's server answers before it was asked.

    leaf (attacker's key) <- Rogue root (trusted)
    the HTTP answer is sent right behind the handshake, without waiting for a request

A client that does not pin sends its request and finds the answer waiting.

A pinning client must judge the path before it reads as well as before it writes: nothing that
arrived may reach the application, and no request may leave. The lab sees what was sent, not what
was read: this is the control for clients that take a connection on which data waits for a good one.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nrogue\n"


def rogue(stage: Stage) -> LabServer:
    """Answer unasked."""
    return LabServer(stage.rogue.issue(stage.host), dialogue=_answer_unasked)


async def _answer_unasked(stream: ServerStream) -> None:
    await stream.write(_ANSWER)
    while await stream.read():
        pass
