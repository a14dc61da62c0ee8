"""How a scenario is answered, and how Holdfast does: by a connection, blocking or with asyncio."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.verified_path import verified_path
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.policy import Policy
from tests.conformance.scenario import Scenario

REQUEST = b"GET / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n"
_SECONDS = 10


class Decision(StrEnum):
    """What came of a connection; a refusal is called as in Holdfast's verdicts."""

    ACCEPTED = "accepted"
    MISMATCH = "mismatch"
    UNTRUSTED = "untrusted"
    DENIED = "denied"
    NOT_PINNED = "not-pinned"
    BROKEN = "broken"  # there was no connection to judge


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, and the place on the path where a pin matched, if that is known."""

    decision: Decision
    position: int | None = None


class Difference(NamedTuple):
    """What an outside judge decides, what is decided here on purpose, and why."""

    theirs: Decision
    ours: Decision
    reason: str


Judge = Callable[[Scenario, LabServer, Path], Answer]  # the path is that of the trust anchors
Hear = Callable[[Scenario, Judge], tuple[Answer, Answer]]


def ask_blocking(policy: Policy, anchors: Path, server: LabServer, host: str) -> Answer:
    """Connect a pinned socket, and send a request if that is let happen."""
    context = PinningContext(policy, public_anchors=anchors)
    try:
        with (
            socket.create_connection((server.address, server.port), _SECONDS) as tcp,
            context.wrap_socket(tcp, server_hostname=host) as tls,
        ):
            tls.sendall(REQUEST)
            tls.recv(65536)
            return _accepted(context, tls, host)
    except OSError as error:
        return _refused(error)


async def ask_asyncio(policy: Policy, anchors: Path, server: LabServer, host: str) -> Answer:
    """Do the same with asyncio, where the path is judged in the middle of the handshake."""
    context = PinningContext(policy, public_anchors=anchors)
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(
                server.address, server.port, ssl=context, server_hostname=host
            )
            writer.write(REQUEST)
            await reader.read(65536)
            answer = _accepted(context, writer.get_extra_info("ssl_object"), host)
            writer.close()
            await writer.wait_closed()
            return answer
    except OSError as error:
        return _refused(error)


def _accepted(
    context: PinningContext, connection: ssl.SSLSocket | ssl.SSLObject, host: str
) -> Answer:
    """Read the verdict that the context remembers for this path."""
    pinning = context._holdfast_pinning
    verdict = pinning.enforcement.judge.decide(
        canonical_host(host), verified_path(connection), look=pinning.second_look.again
    )
    return Answer(Decision.ACCEPTED, verdict.matched.position if verdict.matched else None)


def _refused(error: OSError) -> Answer:
    if isinstance(error, TimeoutError):
        raise error
    if isinstance(error, PinViolationError):
        return Answer(Decision(error.violation.verdict.outcome.value))
    return Answer(Decision.BROKEN)
