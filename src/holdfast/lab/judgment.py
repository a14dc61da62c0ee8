"""How a client did against one attack, judged by what the servers saw.

Pure: the runner brings what happened. The exit code of a client is never believed: what counts is
whether bytes of the application reached the attacker, and how far the connection had come.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.lab.server_stream import RecordFraming

if TYPE_CHECKING:
    from holdfast.lab.attack import Attack, Transport
    from holdfast.lab.client_process import Ending
    from holdfast.lab.connection_log import Connection

__all__ = ["Moment", "Outcome", "Result", "Run", "judge", "judge_control", "unfinished"]

# What a mail client may say before TLS and after it has failed (RFC 3207, RFC 3501 section 6.1 with
# a tag in front); anything else is mail.
_HARMLESS = {
    "smtp": re.compile(rb"(?:EHLO|HELO|STARTTLS|NOOP|RSET|QUIT)\b", re.IGNORECASE),
    "imap": re.compile(rb"[!-~]+ (?:CAPABILITY|ID|STARTTLS|NOOP|LOGOUT)\b", re.IGNORECASE),
}


class Outcome(StrEnum):
    """How a client did against one attack."""

    CAUGHT = "caught"
    MISSED = "missed"
    REFUSED_HONEST = "refused-honest"
    HUNG = "hung"
    CRASHED = "crashed"
    NOT_APPLICABLE = "not-applicable"

    @property
    def failed(self) -> bool:
        """Whether it speaks against the client."""
        return self not in {Outcome.CAUGHT, Outcome.NOT_APPLICABLE}


class Moment(StrEnum):
    """How far the client went with the attacker."""

    BEFORE_CERTIFICATE = "before the client's certificate"
    BEFORE_DATA = "before application bytes"
    AFTER = "after application bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the client against one server.

    Attributes:
        exit_code: As in `subprocess`, a signal being negative; None if it had to be killed.
        last_line: The end of what the client printed.
        connections: The server's log.
        in_effect: Whether what the attacker put into the client's surroundings had an effect.
        loot: What the attacker found there afterwards.
    """

    exit_code: int | None
    last_line: str
    connections: tuple[Connection, ...]
    in_effect: bool = True
    loot: bytes = b""

    @property
    def attacked(self) -> tuple[Connection, ...]:
        """The connections that count: not those that only lead up to the attack."""
        return tuple(one for one in self.connections if not one.prelude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How the client did against one attack.

    Attributes:
        attack: The attack.
        outcome: How the client did.
        detail: What happened, in words.
        moment: How far the client went with the attacker; None if it did not get that far.
    """

    attack: Attack
    outcome: Outcome
    detail: str
    moment: Moment | None = None


def judge_control(attack: Attack, run: Run) -> Result | None:
    """Judge the run against the honest server.

    Returns:
        None if the client accepted it, so that the attack can begin.
    """
    if failure := unfinished(run):
        outcome, detail = failure
        return Result(attack=attack, outcome=outcome, detail=f"honest server: {detail}")
    attacked = run.attacked
    # Where the attacker is no server, the client has to be at its honest one and nowhere else.
    reached = run.connections if attack.loot else attacked
    if run.in_effect and any(connection.application_bytes for connection in reached):
        return None
    if attack.may_decline:
        return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=attack.may_decline)
    if attack.follows and not attacked and run.connections:
        detail = "the client was sent on to another URL and did not follow"
        return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=detail)
    detail = f"the server with the right key got no request{_said(run)}"
    return Result(attack=attack, outcome=Outcome.REFUSED_HONEST, detail=detail)


def judge(attack: Attack, run: Run) -> Result:
    """Judge the run against the attacker, after the honest server was accepted."""
    moment = _moment(attack.transport, run)
    if run.loot:
        return Result(
            attack=attack,
            outcome=Outcome.MISSED,
            detail=f"the attacker found {len(run.loot)} bytes of secrets",
        )
    if moment is Moment.AFTER:
        outcome, detail = Outcome.MISSED, _loot(attack.transport, run.attacked)
    elif failure := unfinished(run):
        outcome, detail = failure
    elif moment is None and run.connections:
        reason = "found nothing" if attack.loot else "was not visited"
        outcome, detail = Outcome.CAUGHT, f"the attacker {reason}"
    elif moment is None and attack.may_stay_away:
        outcome, detail = Outcome.CAUGHT, "the client did not connect"
    elif moment is None:
        # It was caught by nothing: the attacker was never met.
        outcome, detail = Outcome.CRASHED, f"the client ended without connecting{_said(run)}"
    else:
        outcome, detail = Outcome.CAUGHT, moment.value
    return Result(attack=attack, outcome=outcome, detail=detail, moment=moment)


def unfinished(run: Ending | Run) -> tuple[Outcome, str] | None:
    """Tell what happened to a client that did not end by itself."""
    if run.exit_code is None:
        return Outcome.HUNG, "the client did not end and was killed"
    if run.exit_code < 0:
        try:
            name = signal.Signals(-run.exit_code).name
        except ValueError:  # real-time signals have no names
            name = f"signal {-run.exit_code}"
        return Outcome.CRASHED, f"the client died of {name}"
    return None


def _moment(transport: Transport, run: Run) -> Moment | None:
    connections = run.attacked
    if not connections:
        return None
    if any(one.application_bytes or _in_the_clear(transport, one) for one in connections):
        return Moment.AFTER
    # A server has completed a handshake when it has the client's last flight, which is the one
    # that holds the client's certificate.
    if any(one.handshake_completed for one in connections):
        return Moment.BEFORE_DATA
    return Moment.BEFORE_CERTIFICATE


def _loot(transport: Transport, connections: tuple[Connection, ...]) -> str:
    if encrypted := sum(one.application_bytes for one in connections):
        return f"{encrypted} application bytes reached the attacker"
    plain = sum(len(_in_the_clear(transport, one)) for one in connections)
    return f"{plain} bytes reached the attacker in the clear"


def _in_the_clear(transport: Transport, connection: Connection) -> bytes:
    """Return what came outside of TLS and is not what everybody may hear."""
    plain = RecordFraming().outside(connection.received_plain)
    if harmless := _HARMLESS.get(transport):
        lines = plain.splitlines(keepends=True)
        return b"".join(line for line in lines if not harmless.match(line))
    return plain


def _said(run: Run) -> str:
    return f"; the client said: {run.last_line}" if run.last_line else ""
