import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement import log_sink
from holdfast.enforcement.log_sink import LOGGER_NAME, LogSink
from holdfast.lab.authorities import Identity
from holdfast.pins.chain import ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Outcome, Violation

HOUR = 3600.0


class Clock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time, in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """At some time."""
    return Clock()


@pytest.fixture
def sink(clock: Clock) -> LogSink:
    """What is tested here."""
    return LogSink(monotonic=clock)


@pytest.fixture
def violation(policy: Policy, impostor: Identity) -> Violation:
    """An impostor's certificate on a pinned host."""
    path = VerifiedChain((chain_certificate(impostor.der),))
    now = datetime(2026, 12, 1, tzinfo=UTC)
    verdict = evaluate(policy, "localhost", path, now)
    return Violation(verdict=verdict, observed=Observed.NEW_KEY, time=now, port=443)


def test_the_whole_explanation_is_logged(
    sink: LogSink, violation: Violation, policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is an error with the expected pins, the path, and the violation as an extra."""
    sink.report(violation)

    (record,) = caplog.records
    assert (LOGGER_NAME, logging.ERROR) == (record.name, record.levelno)
    assert violation is vars(record)["violation"]
    for pin in policy.pin_sets[0].pins:
        assert str(pin) in record.getMessage()
    assert "CN=localhost" in record.getMessage()


def test_what_was_let_pass_is_a_warning(
    sink: LogSink, violation: Violation, caplog: pytest.LogCaptureFixture
) -> None:
    """Report-only violations are not errors."""
    sink.report(replace(violation, verdict=replace(violation.verdict, allowed=True)))

    assert [logging.WARNING] == [record.levelno for record in caplog.records]


def test_a_logging_configuration_does_not_silence_it(
    sink: LogSink, violation: Violation, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a file disables what it does not name; what is let pass would be known to nobody."""
    logging.getLogger(LOGGER_NAME).disabled = True  # as dictConfig and fileConfig leave it

    sink.report(violation)

    assert 1 == len(caplog.records)


def test_the_same_is_logged_once_an_hour(
    sink: LogSink, violation: Violation, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that retries all day fills no disk, and does not fall silent."""
    for seconds in (0.0, 1.0, HOUR - 2.0):
        clock.now += seconds
        sink.report(replace(violation, time=datetime.now(UTC)))
    assert 1 == len(caplog.records)

    clock.now += 1.0
    sink.report(violation)
    assert 2 == len(caplog.records)


def test_what_differs_is_logged(
    sink: LogSink, violation: Violation, identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    """Another host, port, outcome, decision, observation or certificate is another violation."""
    verdict = violation.verdict
    leaf = chain_certificate(identity.der)
    different = [
        violation,
        replace(violation, port=8443),
        replace(violation, observed=Observed.SELF_SIGNED),
        replace(violation, verdict=replace(verdict, host="other.example")),
        replace(violation, verdict=replace(verdict, outcome=Outcome.EXPIRED)),
        replace(violation, verdict=replace(verdict, allowed=not verdict.allowed)),
        replace(violation, verdict=replace(verdict, pin_set=None)),
        replace(violation, verdict=replace(verdict, chain=VerifiedChain((leaf,)))),
        replace(violation, verdict=replace(verdict, chain=None)),
    ]
    for each in (*different, *different):
        sink.report(each)

    assert len(different) == len(caplog.records)


def test_a_proven_leaf_is_told_apart_too(
    sink: LogSink,
    violation: Violation,
    identity: Identity,
    impostor: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where only the leaf was proven, it says which violation it is."""
    for der in (identity.der, impostor.der, identity.der):
        leaf = ProvenLeaf(chain_certificate(der))
        sink.report(replace(violation, verdict=replace(violation.verdict, chain=leaf)))

    assert 2 == len(caplog.records)


def test_memory_is_bounded(
    sink: LogSink, violation: Violation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can show many certificates cannot fill the memory."""
    monkeypatch.setattr(log_sink, "_MEMORY_LIMIT", 4)
    for port in range(10):
        sink.report(replace(violation, port=port))

    assert len(sink._logged) <= 4
