"""The pinned server sends the client on to `http://`.

    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    -> 307 http://localhost/, same port, without TLS

A client that does not pin follows, as most HTTP libraries do, and from there on everybody can read
and answer.

A pinning client must not follow: where there is no TLS there is no path on which a pin could be. A
mistake in the server's configuration is enough for such an answer, or an open redirect in one of
its pages. An `ssl` context does not see it, so that the HTTP library has to be told.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import lead_on
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = True
HOLDS = ("the server's key",)
FOLLOWS = True


def rogue(stage: Stage) -> LabServer:
    """Answer with TLS and without, on one port."""
    talk = lead_on(stage.host, scheme="http")

    async def begin(stream: ServerStream) -> None:
        if await stream.client_speaks_tls():
            await stream.start_tls()
        await talk(stream)

    return LabServer(stage.server, starttls=begin)


def honest(stage: Stage) -> LabServer:
    """Send the client on within the host."""
    return LabServer(stage.server, dialogue=lead_on(stage.host))
