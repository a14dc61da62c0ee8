from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from holdfast.enforcement.client_judge import ClientJudge
from holdfast.lab.authorities import Authority, Identity, new_key, spki_pin
from holdfast.lab.issuance import der
from holdfast.pins.evaluate_client import NAMELESS
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Verdict, Violation

NOW = datetime.now(UTC)
Path = tuple[bytes, ...]


class Source:
    """A policy source that can change and fail."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy | None = policy

    def current(self) -> Policy:
        """Return the policy, or fail when there is none."""
        if self.policy is None:
            raise LookupError("no policy today")
        return self.policy


class Sink:
    """Takes no violation: nothing here is reported."""

    def report(self, violation: Violation) -> NoReturn:
        """Fail."""
        raise AssertionError(violation)


@pytest.fixture
def source(client_policy: Policy) -> Source:
    """Begins with the usual policy."""
    return Source(client_policy)


@pytest.fixture
def judge(source: Source) -> ClientJudge:
    """What is tested here, at a fixed time."""
    return ClientJudge(source, Sink(), clock=lambda: NOW)


@pytest.fixture(scope="session")
def path(payments: Identity, mesh: Authority) -> Path:
    """The verified path of the client, as DER."""
    return *map(der, payments.chain), der(mesh.certificate)


def answer(verdict: Verdict) -> tuple[Outcome, bool]:
    """Return what counts."""
    return verdict.outcome, verdict.allowed


def test_two_clients_do_not_get_in_each_other_s_way(
    judge: ClientJudge,
    source: Source,
    path: Path,
    mesh: Authority,
    client_set: Callable[..., PinSet],
) -> None:
    """What was decided for one path is said of no other, though all are asked about alike."""
    web = mesh.issue("spiffe://example.org/web", usage="both", common_name="web")
    web_set = client_set("spiffe://example.org/web", name="web", leaf=())
    source.policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(client_set(), web_set))
    web_path = web.der, der(mesh.certificate)

    for _ in range(2):
        assert "spiffe://example.org/payments" == judge.decide(NAMELESS, path).host
        assert "spiffe://example.org/web" == judge.decide(NAMELESS, web_path).host


def test_no_path(judge: ClientJudge, source: Source) -> None:
    """Without a path nobody comes in, also under a policy that denies nothing and allows much."""
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide(NAMELESS, ()))

    source.policy = Policy(unlisted=Unlisted.ALLOW)
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide(NAMELESS, ()))


@pytest.mark.parametrize("broken", [b"", b"no certificate"])
def test_a_path_that_cannot_be_read(judge: ClientJudge, path: Path, broken: bytes) -> None:
    """A certificate that cannot be read refuses, at any place."""
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide(NAMELESS, (broken, *path[1:])))
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide(NAMELESS, (*path, broken)))


def test_a_source_that_fails(judge: ClientJudge, source: Source, path: Path) -> None:
    """Without a policy every client is refused, resumed ones too."""
    judge.remember(NAMELESS, path)
    source.policy = None

    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide(NAMELESS, path))
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide_resumed(NAMELESS, path[0]))
    assert (Outcome.UNTRUSTED, False) == answer(judge.untrusted(NAMELESS, "expired"))


def test_a_resumed_session(judge: ClientJudge, path: Path) -> None:
    """It is judged by the path of its certificate; one that was never accepted has none."""
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide_resumed(NAMELESS, path[0]))

    judge.remember(NAMELESS, path)

    assert (Outcome.MATCH, True) == answer(judge.decide_resumed(NAMELESS, path[0]))
    assert (Outcome.UNDECIDABLE, False) == answer(judge.decide_resumed(NAMELESS, None))


def test_a_client_has_no_second_look(
    judge: ClientJudge, source: Source, path: Path, client_set: Callable[..., PinSet]
) -> None:
    """Other paths are verified for the names of servers: a mismatch is one, also when resumed."""

    def look(*_: object) -> NoReturn:
        raise AssertionError("there was a second look")

    source.policy = Policy(
        unlisted=Unlisted.REFUSE,
        pin_sets=(client_set(leaf=(Pin.parse(spki_pin(new_key())),)),),
    )
    judge.remember(NAMELESS, path)

    assert Outcome.MISMATCH is judge.decide(NAMELESS, path, look=look).outcome
    assert Outcome.MISMATCH is judge.decide_resumed(NAMELESS, path[0], look=look).outcome


def test_what_a_stranger_sent_is_not_shown(judge: ClientJudge, path: Path) -> None:
    """Reports show only certificates whose signatures hold, and of the others why they do not."""
    verdict = judge.untrusted(NAMELESS, "self-signed certificate")

    forged = judge.violation(verdict, path[:1], 50123, 18)
    expired = judge.violation(verdict, path[:1], 50123, 10)

    assert forged.presented is not None
    assert expired.presented is not None
    assert (0, 1) == (len(forged.presented.certificates), len(expired.presented.certificates))
    assert (Observed.SELF_SIGNED, Observed.CLOCK) == (forged.observed, expired.observed)
    assert None is forged.port is expired.port


def test_the_text_of_a_refusal(
    judge: ClientJudge, source: Source, path: Path, client_set: Callable[..., PinSet]
) -> None:
    """The explanation speaks of the client, and of the page for those who run the server."""
    from holdfast.findings.explain import explain

    source.policy = Policy(
        unlisted=Unlisted.ALLOW, pin_sets=(client_set("partner.example", mode=Mode.REPORT_ONLY),)
    )
    text = explain(judge.violation(judge.decide(NAMELESS, path), path, 50123))

    assert text.startswith(
        "spiffe://example.org/payments refused: not-pinned, no pin set names the client.\n"
    )
    assert "expected: nothing, no pin set covers the client" in text
    assert "docs/servers/index.md" in text
    assert "50123" not in text
