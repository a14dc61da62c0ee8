import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

NOTHING = (0, 0)

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Received = Callable[[LabServer], tuple[int, int]]
PolicyFor = Callable[..., Policy]


def test_the_pinned_server_is_reached(
    start: Start, identity: Identity, pinned: Pinned, exchange: Exchange, received: Received
) -> None:
    """A server with a pinned key is served as ever: the tests below can fail."""
    server = start(identity)

    answer, _ = exchange(server, pinned())

    assert answer.startswith(b"HTTP/1.1 200 OK")
    application_bytes, plain_bytes = received(server)
    assert application_bytes > 0
    assert 0 == plain_bytes


def test_the_impostor_fools_who_does_not_pin(
    start: Start,
    impostor: Identity,
    anchors: Path,
    exchange: Exchange,
    received: Received,
) -> None:
    """Without pins the impostor's trusted certificate is accepted: the tests below can fail."""
    server = start(impostor)
    unpinned = ssl.create_default_context(cafile=anchors)

    exchange(server, unpinned)

    assert received(server) > NOTHING


@pytest.mark.threat("T01")
def test_a_rogue_ca_gets_nothing(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """A trusted certificate from another CA is refused before a byte is sent, and reported once."""
    server = start(impostor)

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, pinned())

    assert NOTHING == received(server)
    assert [refusal.value.violation] == violations
    assert Outcome.MISMATCH is refusal.value.violation.verdict.outcome


@pytest.mark.threat("T02")
@pytest.mark.parametrize("padding", ["leaf", "ca"])
def test_padding_gets_nothing(
    *,
    start: Start,
    rogue: Authority,
    issuing: Authority,
    identity: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
    padding: str,
) -> None:
    """A pinned certificate that is only sent along does not count (CVE-2016-2402)."""
    added = identity.certificate if padding == "leaf" else issuing.certificate
    server = start(rogue.issue("localhost").with_chain(added))
    policy = policy_for() if padding == "leaf" else policy_for(ca=issuing.spki_pin)

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, pinned(policy))

    assert NOTHING == received(server)
    presented = refusal.value.violation.presented
    assert presented is not None
    assert added.public_bytes(Encoding.DER) in [one.der for one in presented.certificates]


@pytest.mark.threat("T11")
def test_a_pinned_ca_satisfies(
    start: Start,
    honest: Authority,
    identity: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
) -> None:
    """A pin on the root matches, although the server does not send the root."""
    answer, _ = exchange(start(identity), pinned(policy_for(ca=honest.spki_pin)))

    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_report_only_lets_pass_and_reports(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """In report-only mode a mismatch is reported once and the connection is as ever."""
    answer, _ = exchange(start(impostor), pinned(policy_for(mode=Mode.REPORT_ONLY)))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert [(Outcome.MISMATCH, True)] == [
        (violation.verdict.outcome, violation.verdict.allowed) for violation in violations
    ]


@pytest.mark.parametrize(("unlisted", "reports"), [(Unlisted.ALLOW, 0), (Unlisted.REPORT_ONLY, 1)])
def test_an_unlisted_host_passes(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    violations: list[Violation],
    unlisted: Unlisted,
    reports: int,
) -> None:
    """A host that no pattern covers is reached, and reported where the policy wants it."""
    context = pinned(policy_for(unlisted=unlisted))

    answer, _ = exchange(start(impostor), context, "other.example")

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert [Outcome.NOT_PINNED] * reports == [one.verdict.outcome for one in violations]


def test_an_unlisted_host_can_be_refused(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
) -> None:
    """Where unlisted hosts are refused, they get nothing."""
    server = start(identity)

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, pinned(policy_for(unlisted=Unlisted.REFUSE)), "other.example")

    assert NOTHING == received(server)
    assert Outcome.NOT_PINNED is refusal.value.violation.verdict.outcome


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_a_denied_key_is_refused_everywhere(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
    mode: Mode,
    name: str,
) -> None:
    """A denied key gets nothing: in any mode, on hosts that no pattern covers too."""
    server = start(impostor)
    context = pinned(policy_for(mode=mode, denied=(impostor.spki_pin,)))

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, context, name)

    assert NOTHING == received(server)
    assert Outcome.DENIED is refusal.value.violation.verdict.outcome


def test_the_error_is_what_tls_code_expects(
    start: Start, impostor: Identity, pinned: Pinned, exchange: Exchange
) -> None:
    """A refusal is an SSLCertVerificationError whose number no event loop takes for "again"."""
    with pytest.raises(ssl.SSLCertVerificationError) as refusal:
        exchange(start(impostor), pinned())

    assert ssl.SSL_ERROR_SSL == refusal.value.errno
    assert refusal.value.errno not in {
        ssl.SSL_ERROR_WANT_READ,
        ssl.SSL_ERROR_WANT_WRITE,
        ssl.SSL_ERROR_EOF,
    }


def test_a_refusal_is_final(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    over_bio: Callable[..., Any],
    received: Received,
    violations: list[Violation],
) -> None:
    """After a refusal each further use is refused again, and is not reported again."""
    server = start(impostor)
    tls, drive = over_bio(server, pinned())

    with pytest.raises(PinViolationError):
        drive(tls.do_handshake)
    for step in (tls.do_handshake, tls.read, tls.unwrap, lambda: tls.write(b"secret")):
        with pytest.raises(PinViolationError):
            drive(step)
    with pytest.raises(PinViolationError):
        tls.session = None
    assert tls.session is None

    assert NOTHING == received(server)
    assert 1 == len(violations)


def test_what_waits_to_be_sent_is_thrown_away(
    *,
    start: Start,
    honest: Authority,
    impostor: Identity,
    client_identity: Identity,
    pinned: Pinned,
    over_bio: Callable[..., Any],
    received: Received,
) -> None:
    """An application that sends what is in its BIO even after the refusal sends no certificate."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    server, context = start(impostor, make), pinned()
    client_identity.load_into(context)
    tls, drive = over_bio(server, context)

    with pytest.raises(PinViolationError):
        drive(tls.do_handshake)

    assert NOTHING == received(server)
    (seen,) = server.connections
    assert seen.client_certificate is None
    assert not seen.handshake_completed


def test_the_port_is_reported(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    connect: Callable[..., ssl.SSLSocket],
    violations: list[Violation],
) -> None:
    """A violation on a TCP socket says to which port."""
    server = start(impostor)

    with pytest.raises(PinViolationError):
        connect(server, pinned())

    assert [server.port] == [violation.port for violation in violations]


def test_a_unix_socket_is_let_pass_like_any_other(
    impostor: Identity, pinned: Pinned, policy_for: PolicyFor, tmp_path: Path
) -> None:
    """In report-only mode TLS passes over a Unix socket too, whose peer has a path and no port."""
    context = pinned(policy_for(mode=Mode.REPORT_ONLY))
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as thread:
        listener.bind(str(tmp_path / "tls"))
        listener.listen()

        def serve() -> bytes:
            accepted, _ = listener.accept()
            with impostor.server_context().wrap_socket(accepted, server_side=True) as tls:
                return tls.recv(100)

        served = thread.submit(serve)
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(5)
        plain.connect(listener.getsockname())
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"hello")

        assert b"hello" == served.result(5)
