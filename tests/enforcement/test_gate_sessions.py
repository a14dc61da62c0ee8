"""Resumed sessions: OpenSSL has no path for them and does not check the name again."""

import ssl
from collections.abc import Callable

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Violation

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
PolicyFor = Callable[..., Policy]


class Changeable:
    """A policy source whose policy can be replaced."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy of now."""
        return self.policy


@pytest.fixture
def source(policy: Policy) -> Changeable:
    """Begins with the usual policy."""
    return Changeable(policy)


def _last_was_resumed(server: LabServer) -> bool:
    return server.connections[-1].resumed


def test_a_session_is_resumed_for_its_host(
    start: Start, identity: Identity, pinned: Pinned, exchange: Exchange
) -> None:
    """A resumed session is accepted by the path that was approved for the host and leaf."""
    server, context = start(identity), pinned()

    _, session = exchange(server, context)
    for _ in range(2):
        answer, session = exchange(server, context, "localhost", session)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert _last_was_resumed(server)


@pytest.mark.threat("T05")
def test_a_session_is_not_resumed_for_another_host(
    start: Start, identity: Identity, pinned: Pinned, policy_for: PolicyFor, exchange: Exchange
) -> None:
    """OpenSSL resumes a session for any name; a pinned name with no approved path gets nothing."""
    server = start(identity)
    context = pinned(policy_for(hosts=("localhost", "other.example")))
    _, session = exchange(server, context, "localhost")
    before = server.application_bytes

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, context, "other.example", session)

    assert Outcome.UNDECIDABLE is refusal.value.violation.verdict.outcome
    assert before == server.application_bytes


def test_a_session_from_an_unlisted_host_is_no_way_in(
    start: Start, impostor: Identity, pinned: Pinned, exchange: Exchange
) -> None:
    """A session of an impostor, made under a name without pins, is refused under a pinned name."""
    server, context = start(impostor), pinned()
    _, session = exchange(server, context, "other.example")
    before = server.application_bytes

    with pytest.raises(PinViolationError):
        exchange(server, context, "localhost", session)

    assert before == server.application_bytes


@pytest.mark.threat("T04")
def test_a_session_is_judged_under_the_policy_of_now(
    *,
    start: Start,
    identity: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    source: Changeable,
    client_identity: Identity,
) -> None:
    """When the policy has changed, the remembered path must satisfy the new one."""
    server, context = start(identity), pinned(source)
    _, session = exchange(server, context)
    before = server.application_bytes
    source.policy = policy_for(leaf=client_identity.spki_pin)

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, context, "localhost", session)

    assert Outcome.MISMATCH is refusal.value.violation.verdict.outcome
    assert before == server.application_bytes


@pytest.mark.threat("T06")
@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_a_session_is_refused_once_its_key_is_denied(
    *,
    start: Start,
    identity: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    source: Changeable,
    name: str,
) -> None:
    """Denying a key reaches sessions that were begun before, on unlisted hosts too."""
    server, context = start(identity), pinned(source)
    _, session = exchange(server, context, name)
    before = server.application_bytes
    source.policy = policy_for(denied=(identity.spki_pin,))

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, context, name, session)

    assert Outcome.DENIED is refusal.value.violation.verdict.outcome
    assert before == server.application_bytes


def test_a_session_in_report_only_mode_is_reported_again(
    *,
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """A resumed session of a mismatching server passes and is reported, as the first was."""
    server, context = start(impostor), pinned(policy_for(mode=Mode.REPORT_ONLY))
    _, session = exchange(server, context)
    answer, _ = exchange(server, context, "localhost", session)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert _last_was_resumed(server)
    assert [Outcome.MISMATCH] * 2 == [violation.verdict.outcome for violation in violations]


def test_a_session_of_an_unlisted_host_is_resumed(
    start: Start, impostor: Identity, pinned: Pinned, exchange: Exchange
) -> None:
    """Hosts without pins resume sessions as ever."""
    server, context = start(impostor), pinned()
    _, session = exchange(server, context, "other.example")
    answer, _ = exchange(server, context, "other.example", session)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert _last_was_resumed(server)


def test_a_session_may_be_set_before_the_handshake(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    exchange: Exchange,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """The `session` property is written as with stock sockets."""
    server, context = start(identity), pinned()
    _, session = exchange(server, context)
    tls = connect(server, context, do_handshake_on_connect=False)
    assert tls.session is None
    tls.session = session
    tls.do_handshake()

    assert tls.session_reused


def test_a_foreign_session_is_refused_by_openssl(
    start: Start, identity: Identity, anchors: str, pinned: Pinned, exchange: Exchange
) -> None:
    """A session of a context without pins cannot be brought in."""
    server = start(identity)
    _, session = exchange(server, ssl.create_default_context(cafile=anchors))

    with pytest.raises(ValueError, match="different SSLContext"):
        exchange(server, pinned(), "localhost", session)
