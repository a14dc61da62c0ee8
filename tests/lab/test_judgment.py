import re
import signal
from dataclasses import replace

import pytest

from holdfast.lab.attack import Attack, AttackClass, Transport
from holdfast.lab.connection_log import Connection
from holdfast.lab.judgment import Moment, Outcome, Run, judge, judge_control
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage


def _never(stage: Stage) -> LabServer:
    raise AssertionError("the judge runs nothing")


ATTACK = Attack(
    id="chain.some",
    title="Some attack",
    description="",
    attack_class=AttackClass.CHAIN,
    fools_plain=True,
    rogue=_never,
    honest=_never,
    host=lambda stage: stage.host,
)
GREETED = Connection(handshake_completed=True, closed=True)
ROBBED = replace(GREETED, application_bytes=7, received=b"GET / H")
HELLO = b"\x16\x03\x01\x00\x02hi"  # a record with two bytes in it


def _run(*connections: Connection, exit_code: int | None = 1, last_line: str = "") -> Run:
    return Run(exit_code=exit_code, last_line=last_line, connections=connections)


def _leaking(text: bytes) -> Connection:
    return Connection(plain_bytes=len(text), received_plain=text, closed=True)


@pytest.mark.parametrize("exit_code", [0, 1])
def test_bytes_decide_and_not_the_exit_code(exit_code: int) -> None:
    """Bytes that reached the attacker are a miss, and none of them is none, however it ended."""
    missed = judge(ATTACK, _run(GREETED, ROBBED, exit_code=exit_code))
    caught = judge(ATTACK, _run(GREETED, exit_code=exit_code))

    assert (Outcome.MISSED, Moment.AFTER) == (missed.outcome, missed.moment)
    assert missed.detail == "7 application bytes reached the attacker"
    assert caught.outcome is Outcome.CAUGHT


@pytest.mark.parametrize(
    ("connection", "moment"),
    [
        (Connection(closed=True), Moment.BEFORE_CERTIFICATE),
        (GREETED, Moment.BEFORE_DATA),
        (replace(GREETED, client_certificate=b"der"), Moment.BEFORE_DATA),
    ],
)
def test_how_early(connection: Connection, moment: Moment) -> None:
    """A client that let the handshake end would have shown its certificate, if it had one."""
    assert moment is judge(ATTACK, _run(connection)).moment


@pytest.mark.parametrize(
    ("transport", "text", "outcome"),
    [
        ("https", b"GET / HTTP/1.1\r\n", Outcome.MISSED),
        ("https", HELLO, Outcome.CAUGHT),
        ("https", HELLO + b"GET /", Outcome.MISSED),
        ("smtp", b"EHLO me\r\nSTARTTLS\r\nquit\r\n", Outcome.CAUGHT),
        ("smtp", b"EHLO me\r\nMAIL FROM:<a@b.example>\r\n", Outcome.MISSED),
    ],
)
def test_in_the_clear(transport: Transport, text: bytes, outcome: Outcome) -> None:
    """What leaks outside of TLS is a miss; records of TLS and SMTP's small talk are not."""
    result = judge(replace(ATTACK, transport=transport), _run(_leaking(text)))

    assert outcome is result.outcome


def test_plain_bytes_are_told_apart() -> None:
    """The detail counts what was leaked, and not what was harmless."""
    mail = replace(ATTACK, transport="smtp")
    result = judge(mail, _run(_leaking(b"EHLO me\r\nDATA\r\n")))

    assert result.detail == "6 bytes reached the attacker in the clear"


@pytest.mark.parametrize(
    ("run", "outcome", "detail"),
    [
        (_run(GREETED, exit_code=None), Outcome.HUNG, "did not end"),
        (_run(GREETED, exit_code=-signal.SIGSEGV), Outcome.CRASHED, "died of SIGSEGV"),
        (_run(GREETED, exit_code=-999), Outcome.CRASHED, "died of signal 999"),
        (_run(last_line="no such host"), Outcome.CRASHED, "without connecting.*no such host"),
        (_run(ROBBED, exit_code=None), Outcome.MISSED, "7 application bytes"),
    ],
)
def test_other_ends(run: Run, outcome: Outcome, detail: str) -> None:
    """A client that hangs, dies or never comes has caught nothing; a miss counts most."""
    result = judge(ATTACK, run)

    assert outcome is result.outcome
    assert re.search(detail, result.detail)


def test_not_to_connect_can_be_right() -> None:
    """A client that was told nonsense, and stays away, has caught it."""
    result = judge(replace(ATTACK, misconfigure=lambda _: {"pin": ""}), _run())

    assert (Outcome.CAUGHT, None) == (result.outcome, result.moment)


def test_control_passes_when_served() -> None:
    """An honest server that got a request was accepted, whatever the exit code."""
    assert judge_control(ATTACK, _run(ROBBED, exit_code=3)) is None


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (_run(GREETED, last_line="bad key"), Outcome.REFUSED_HONEST),
        (_run(exit_code=0), Outcome.REFUSED_HONEST),
        (_run(ROBBED, exit_code=None), Outcome.HUNG),
        (_run(GREETED, exit_code=-signal.SIGABRT), Outcome.CRASHED),
    ],
)
def test_control_fails(run: Run, outcome: Outcome) -> None:
    """A client that refuses, hangs at or dies of the honest server scores nothing."""
    result = judge_control(ATTACK, run)

    assert result is not None
    assert outcome is result.outcome
    assert result.moment is None
    assert result.detail.endswith(run.last_line)


LED_ON = replace(ROBBED, prelude=True)


def test_a_prelude_is_no_loot() -> None:
    """What came before the attack could begin is not counted, neither for nor against."""
    caught = judge(ATTACK, _run(LED_ON, GREETED))
    missed = judge(ATTACK, _run(LED_ON, ROBBED))
    stayed = judge(ATTACK, _run(LED_ON))

    assert (Outcome.CAUGHT, Moment.BEFORE_DATA) == (caught.outcome, caught.moment)
    assert missed.detail == "7 application bytes reached the attacker"
    assert (Outcome.CAUGHT, None) == (stayed.outcome, stayed.moment)
    assert "the attacker was not visited" == stayed.detail


@pytest.mark.parametrize(
    ("connections", "follows", "may_decline", "outcome"),
    [
        ((LED_ON,), True, None, Outcome.NOT_APPLICABLE),
        ((LED_ON, GREETED), True, None, Outcome.REFUSED_HONEST),
        ((GREETED,), True, None, Outcome.REFUSED_HONEST),
        ((LED_ON, GREETED), True, "it is old", Outcome.NOT_APPLICABLE),
        ((LED_ON, ROBBED), True, "it is old", None),
    ],
)
def test_control_that_leads_on(
    connections: tuple[Connection, ...],
    follows: bool,
    may_decline: str | None,
    outcome: Outcome | None,
) -> None:
    """Who does not follow cannot be attacked; who follows and refuses has refused."""
    attack = replace(ATTACK, follows=follows, may_decline=may_decline)
    result = judge_control(attack, _run(*connections))

    assert outcome == (result and result.outcome)
    assert may_decline is None or result is None or result.detail == may_decline


def test_only_failures_fail() -> None:
    """Of all outcomes, two do not speak against a client."""
    assert {Outcome.CAUGHT, Outcome.NOT_APPLICABLE} == {one for one in Outcome if not one.failed}


def test_what_the_attacker_found_is_loot() -> None:
    """Where the attacker looks on, what counts is what was found, whoever the server was."""
    attack = replace(ATTACK, loot=lambda _: b"")
    found = judge(attack, replace(_run(LED_ON), loot=b"secret"))
    nothing = judge(attack, _run(LED_ON))

    assert (Outcome.MISSED, "the attacker found 6 bytes of secrets") == (
        found.outcome,
        found.detail,
    )
    assert (Outcome.CAUGHT, "the attacker found nothing") == (nothing.outcome, nothing.detail)


def test_surroundings_without_effect() -> None:
    """A client on which the attacker's surroundings had no effect was not attacked."""
    attack = replace(ATTACK, may_decline="it is not in Python")
    result = judge_control(attack, replace(_run(ROBBED), in_effect=False))

    assert result is not None
    assert (Outcome.NOT_APPLICABLE, "it is not in Python") == (result.outcome, result.detail)


def test_mail_in_the_clear_is_told_from_what_everybody_may_hear() -> None:
    """IMAP commands have a tag in front; a login is loot."""
    attack = replace(ATTACK, transport="imap")
    harmless = b"A1 CAPABILITY\r\nA2 STARTTLS\r\nA3 LOGOUT\r\n"
    quiet = judge(attack, _run(Connection(plain_bytes=1, received_plain=harmless)))
    login = b"A1 CAPABILITY\r\nA2 LOGIN user secret\r\n"
    robbed = judge(attack, _run(Connection(plain_bytes=1, received_plain=login)))

    assert (Outcome.CAUGHT, Outcome.MISSED) == (quiet.outcome, robbed.outcome)
    assert robbed.detail == "22 bytes reached the attacker in the clear"
