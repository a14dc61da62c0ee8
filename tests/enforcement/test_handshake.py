import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.certificates import trust_anchors
from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement import handshake
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.chain import ChainCertificate
from holdfast.pins.pin_set import OnExpiry
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Violation
from tests.pins.test_host_pins import UnreadableHostPins

NOW = datetime(2026, 12, 1, tzinfo=UTC)

PolicyFor = Callable[..., Policy]


class Source:
    """A policy source that can change and fail; it counts how often it is asked."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy | None = policy
        self.asked = 0

    def current(self) -> Policy:
        """Return the policy, or fail when there is none."""
        self.asked += 1
        if self.policy is None:
            raise LookupError("no policy today")
        return self.policy


class Sink:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def report(self, violation: Violation) -> None:
        """Keep it."""
        self.violations.append(violation)


@pytest.fixture
def source(policy: Policy) -> Source:
    """Begins with the usual policy."""
    return Source(policy)


@pytest.fixture
def sink() -> Sink:
    """An empty one."""
    return Sink()


@pytest.fixture
def judge(source: Source, sink: Sink) -> HandshakeJudge:
    """What is tested here, at a fixed time."""
    return HandshakeJudge(source, sink, clock=lambda: NOW)


@pytest.fixture(scope="session")
def path(identity: Identity, honest: Authority) -> tuple[bytes, ...]:
    """The verified path of the server, as DER."""
    return *map(der, identity.chain), der(honest.certificate)


@pytest.fixture(scope="session")
def other_path(impostor: Identity, rogue: Authority) -> tuple[bytes, ...]:
    """The verified path of the impostor."""
    return impostor.der, der(rogue.certificate)


def test_a_decision_asks_for_the_policy_once(
    judge: HandshakeJudge, source: Source, path: tuple[bytes, ...], other_path: tuple[bytes, ...]
) -> None:
    """Asking twice could mix two policies."""
    questions: list[Callable[[], object]] = [
        lambda: judge.decide("localhost", path),
        lambda: judge.decide("localhost", other_path),
        lambda: judge.decide_resumed("localhost", path[0]),
        lambda: judge.untrusted("localhost", "expired"),
    ]
    for ask in questions:
        source.asked = 0
        ask()
        assert 1 == source.asked


def test_a_match_is_remembered_while_nothing_changes(
    judge: HandshakeJudge,
    source: Source,
    policy_for: PolicyFor,
    path: tuple[bytes, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next handshake hashes nothing; another path, host or policy object is judged anew."""
    read: list[bytes] = []

    def reading(certificate: bytes) -> ChainCertificate:
        read.append(certificate)
        return chain_certificate(certificate)

    monkeypatch.setattr(handshake, "chain_certificate", reading)

    first = judge.decide("localhost", path)
    assert list(path) == read
    assert first is judge.decide("localhost", path)
    assert list(path) == read

    source.policy = policy_for()
    assert first is not judge.decide("localhost", path)
    judge.decide("localhost", path[:-1])
    judge.decide("other.example", path)
    assert [*path, *path, *path[:-1], *path] == read


def test_only_a_match_is_remembered(
    judge: HandshakeJudge, other_path: tuple[bytes, ...], source: Source, policy_for: PolicyFor
) -> None:
    """What depends on the time, such as an expired set, is decided again each time."""
    policy = policy_for()
    expiring = replace(
        policy.pin_sets[0],
        expires=NOW.replace(hour=1),
        on_expiry=OnExpiry.ALLOW,
    )
    source.policy = replace(policy, pin_sets=(expiring,))
    times = iter([NOW, NOW.replace(hour=2)])
    judge._clock = lambda: next(times)

    assert Outcome.MISMATCH is judge.decide("localhost", other_path).outcome
    assert Outcome.EXPIRED is judge.decide("localhost", other_path).outcome


@pytest.mark.parametrize("path", [(), (b"not a certificate",)])
def test_a_path_that_cannot_be_read_is_refused(
    judge: HandshakeJudge,
    source: Source,
    policy_for: PolicyFor,
    client_identity: Identity,
    path: tuple[bytes, ...],
) -> None:
    """It is undecidable on a pinned host, and wherever a key is denied; else it cannot matter."""
    assert Outcome.UNDECIDABLE is judge.decide("localhost", path).outcome
    assert Outcome.NOT_PINNED is judge.decide("other.example", path).outcome
    source.policy = policy_for(denied=(client_identity.spki_pin,))
    assert Outcome.UNDECIDABLE is judge.decide("other.example", path).outcome
    source.policy = policy_for(unlisted=Unlisted.REFUSE)
    assert not judge.decide("other.example", path).allowed


def test_a_failing_source_refuses(
    judge: HandshakeJudge, source: Source, sink: Sink, path: tuple[bytes, ...]
) -> None:
    """Whatever is asked when there is no policy, the answer is a refusal that says why."""
    judge.remember("localhost", path)
    source.policy = None

    verdicts = [
        judge.decide("localhost", path),
        judge.decide_resumed("localhost", path[0]),
        judge.decide_resumed("localhost", None),
        judge.untrusted("other.example", "expired"),
    ]
    with pytest.raises(PinViolationError, match="no policy today"):
        judge.rules_for("localhost")

    for verdict in verdicts:
        assert verdict is not None
        assert (Outcome.UNDECIDABLE, False, True) == (
            verdict.outcome,
            verdict.allowed,
            verdict.violation,
        )
        assert "no policy today" in verdict.reason
    assert 1 == len(sink.violations)


def test_host_pins_that_cannot_be_had_refuse(
    judge: HandshakeJudge, source: Source, policy: Policy, path: tuple[bytes, ...]
) -> None:
    """Whatever is asked about such a host, it is not let pass with the pins of its set."""
    source.policy = replace(policy, host_pins=UnreadableHostPins())

    for verdict in (
        judge.decide("localhost", path),
        judge.decide("localhost", ()),
        judge.untrusted("localhost", "expired"),
    ):
        assert verdict is not None
        assert (Outcome.UNDECIDABLE, False) == (verdict.outcome, verdict.allowed)
        assert "damaged entry" in verdict.reason
    with pytest.raises(PinViolationError, match="damaged entry"):
        judge.rules_for("localhost")
    assert not judge.lets_everything_pass("localhost")


def test_a_source_of_something_else_refuses(judge: HandshakeJudge, path: tuple[bytes, ...]) -> None:
    """A source that gives no policy is a failing source for each kind of question."""
    judge._source = type("Nothing", (), {"current": lambda _: None})()

    with pytest.raises(AttributeError):  # the gate refuses whatever a decision raises
        judge.decide("localhost", path)
    verdict = judge.untrusted("localhost", "expired")
    assert verdict is not None
    assert Outcome.UNDECIDABLE is verdict.outcome
    with pytest.raises(PinViolationError):
        judge.rules_for("localhost")


def test_a_resumed_session_has_the_path_of_its_host_and_leaf(
    judge: HandshakeJudge, path: tuple[bytes, ...], other_path: tuple[bytes, ...]
) -> None:
    """Neither another host nor another leaf nor a missing leaf has it."""
    judge.remember("localhost", path)
    judge.remember("other.example", other_path)
    judge.remember("localhost", ())  # an unlisted host whose path could not be had

    assert Outcome.MATCH is judge.decide_resumed("localhost", path[0]).outcome
    for host, leaf in (
        ("other.example", path[0]),
        ("localhost", other_path[0]),
        ("localhost", None),
        ("localhost", b""),
    ):
        assert Outcome.UNDECIDABLE is judge.decide_resumed(host, leaf).outcome


def test_memory_is_bounded(
    judge: HandshakeJudge,
    source: Source,
    policy_for: PolicyFor,
    path: tuple[bytes, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the limit the older half is forgotten: its sessions are refused, newer ones are not."""
    monkeypatch.setattr(handshake, "_MEMORY_LIMIT", 4)
    source.policy = policy_for(hosts=("**.example",))

    for number in range(10):
        host = f"h{number}.example"
        assert Outcome.MATCH is judge.decide(host, path).outcome
        judge.remember(host, path)

    assert len(judge._approved) <= 4
    assert len(judge._paths) + len(judge._earlier_paths) <= 8
    assert Outcome.MATCH is judge.decide_resumed("h9.example", path[0]).outcome
    assert Outcome.MATCH is judge.decide_resumed("h4.example", path[0]).outcome
    assert Outcome.UNDECIDABLE is judge.decide_resumed("h3.example", path[0]).outcome


def test_an_untrusted_chain_matters_on_listed_hosts_only(judge: HandshakeJudge) -> None:
    """On other hosts the stock error is left alone."""
    verdict = judge.untrusted("localhost", "it has expired")

    assert verdict is not None
    assert (Outcome.UNTRUSTED, "it has expired") == (verdict.outcome, verdict.reason)
    assert judge.untrusted("other.example", "it has expired") is None


def test_a_violation_holds_what_is_known(
    judge: HandshakeJudge, other_path: tuple[bytes, ...]
) -> None:
    """Time, port and what was presented are kept; an unreadable certificate does not matter."""
    verdict = judge.decide("localhost", other_path)
    violation = judge.violation(verdict, (other_path[0], b"not a certificate"), 443)

    assert NOW == violation.time
    assert 443 == violation.port
    assert verdict is violation.verdict
    assert violation.presented is not None
    assert [other_path[0]] == [one.der for one in violation.presented.certificates]


def test_what_cannot_be_observed_changes_nothing(
    judge: HandshakeJudge,
    other_path: tuple[bytes, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where an explanation fails, as with certifi's file gone, the verdict does not."""

    def gone(*_: object) -> bool:
        raise FileNotFoundError("cacert.pem")

    monkeypatch.setattr(trust_anchors, "is_expected_anchor", gone)
    with caplog.at_level(logging.ERROR, "holdfast.enforcement"):
        violation = judge.violation(judge.decide("localhost", other_path), (), 443)

    assert Observed.UNKNOWN is violation.observed
    assert "cacert.pem" in caplog.text


def test_a_sink_that_fails_is_logged(
    judge: HandshakeJudge, other_path: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """The verdict stands, and the log says that the report was lost."""

    class Broken:
        def report(self, violation: Violation) -> None:
            raise OSError("no space left on device")

    judge._sink = Broken()
    with caplog.at_level(logging.ERROR, "holdfast.enforcement"):
        judge.report(judge.violation(judge.decide("localhost", other_path), (), None))

    assert "the verdict on localhost stands" in caplog.text
    assert "no space left on device" in caplog.text


@pytest.mark.parametrize("broken", ["sink", "source"])
def test_sink_and_source_are_told_whatever_becomes_of_the_other(
    judge: HandshakeJudge,
    source: Source,
    sink: Sink,
    other_path: tuple[bytes, ...],
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    """A violation is reported and noted once each, and neither failure leaves the handshake."""
    noted: list[Violation] = []

    class Noting:
        current = source.current

        @property
        def note_violation(self) -> Callable[[Violation], None]:
            if broken == "source":
                raise OSError("the source is gone")
            return noted.append

    class Broken:
        def report(self, violation: Violation) -> None:
            raise OSError("no space left on device")

    judge._source = Noting()
    if broken == "sink":
        judge._sink = Broken()
    violation = judge.violation(judge.decide("localhost", other_path), (), None)

    with caplog.at_level(logging.ERROR, "holdfast.enforcement"):
        judge.report(violation)

    assert ([violation] if broken == "source" else []) == sink.violations
    assert ([violation] if broken == "sink" else []) == noted
    assert 1 == len(caplog.records)
