"""What an exception let pass, by the policy and the time of each later decision."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.log_sink import LogSink
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Violation

SERVED = b"HTTP/1.1 200 OK"
SECOND = timedelta(seconds=1)

Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]
SetClock = Callable[[PinningContext, datetime], None]
Start = Callable[..., LabServer]


class Source:
    """A policy source whose policy can be replaced."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy of now."""
        return self.policy


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Return a function that sets the time at which a context decides."""

    def set_clock(context: PinningContext, time: datetime) -> None:
        judge = context._holdfast_pinning.enforcement.judge
        monkeypatch.setattr(judge, "_clock", lambda: time)

    return set_clock


def test_it_ends_without_a_restart(
    *,
    start: Start,
    proxy: Identity,
    identity: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    set_clock: SetClock,
) -> None:
    """The time counts at each connection: after the end, and before the limit, it is not there."""
    server, context = start(proxy), pinned(exceptions=(exception,))
    exchange(server, context)
    before = server.application_bytes
    for time in (exception.until, exception.until - timedelta(days=90) - SECOND):
        set_clock(context, time)
        with pytest.raises(PinViolationError, match="untrusted"):
            exchange(server, context)
        assert exchange(start(identity), context)[0].startswith(SERVED)
    assert before == server.application_bytes

    set_clock(context, exception.until - SECOND)
    assert exchange(server, context)[0].startswith(SERVED)


def test_after_the_end_all_is_as_without_it(
    *,
    start: Start,
    proxy: Identity,
    inspection: Authority,
    exception: LocalException,
    policy_for: PolicyFor,
    pinned: Pinned,
    exchange: Exchange,
    set_clock: SetClock,
    violations: list[Violation],
) -> None:
    """Where the machine trusts the proxy's CA, a report-only set lets it pass as any other CA."""
    context = pinned(policy_for(mode=Mode.REPORT_ONLY), exceptions=(exception,))
    context.load_verify_locations(cadata=inspection.pem)
    set_clock(context, exception.until)

    assert exchange(start(proxy), context)[0].startswith(SERVED)
    assert [(Outcome.MISMATCH, "no pin of the set is on the path")] == [
        (one.verdict.outcome, one.verdict.reason) for one in violations
    ]


def test_a_session_is_judged_again_and_told(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """A resumed session of the proxy goes on by the same exception, and is one more use."""
    server, context = start(proxy), pinned(exceptions=(exception,))
    _, session = exchange(server, context)
    exchange(server, context, "localhost", session)

    assert [False, True] == [one.resumed for one in server.connections]
    assert [exception.reason] * 2 == [one.verdict.reason.rpartition(": ")[2] for one in violations]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_session_does_not_outlive_its_exception(
    *,
    mode: Mode,
    start: Start,
    proxy: Identity,
    exception: LocalException,
    policy_for: PolicyFor,
    pinned: Pinned,
    exchange: Exchange,
    set_clock: SetClock,
) -> None:
    """After the end a session is no way around the verification, in report-only mode neither."""
    server, context = start(proxy), pinned(policy_for(mode=mode), exceptions=(exception,))
    _, session = exchange(server, context)
    before = server.application_bytes
    set_clock(context, exception.until)
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, context, "localhost", session)

    assert before == server.application_bytes


def test_a_policy_that_turns_strict_ends_it(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """A session that an exception let pass is judged by the policy of now, too."""
    source = Source(policy)
    server, context = start(proxy), pinned(source, exceptions=(exception,))
    _, session = exchange(server, context)
    source.policy = replace(policy, pin_sets=(replace(policy.pin_sets[0], strict=True),))
    with pytest.raises(PinViolationError, match="strict"):
        exchange(server, context, "localhost", session)


def test_an_open_connection_is_judged_again_with_it(
    proxy: Identity, inspection: Authority, exception: LocalException, policy: Policy
) -> None:
    """A policy that changes ends what an exception let pass once that is over, and not before."""
    times = [exception.until - SECOND, exception.until]
    judge = HandshakeJudge(policy, LogSink(), clock=lambda: times.pop(0))
    path = (*map(der, proxy.chain), der(inspection.certificate))
    decide = partial(judge.decide, "localhost", path, exceptions=(exception,))
    times = [time for time in times for _ in range(2)]  # the policy asks for it first

    assert [True, False] == [decide().allowed, decide().allowed]


def test_a_match_remembered_from_before_is_not_silent(
    proxy: Identity, inspection: Authority, exception: LocalException, policy_for: PolicyFor
) -> None:
    """A path that matched under public trust is no answer to the same one under an exception."""
    policy = policy_for(leaf=proxy.spki_pin)
    judge = HandshakeJudge(policy, LogSink(), exceptions=(exception,))
    path = (*map(der, proxy.chain), der(inspection.certificate))

    assert not judge.decide("localhost", path).violation
    assert judge.decide("localhost", path, exceptions=(exception,)).violation
    assert not judge.decide("localhost", path).violation
