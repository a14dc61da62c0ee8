import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

import holdfast
from holdfast.enforcement.clients.pyopenssl import (
    OpenSSLPinning,
    OpenSSLViolationError,
    PinnedConnection,
    _on_certificate,
)
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Violation

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
Start = Callable[..., LabServer]
PolicyFor = Callable[..., Policy]
Exchange = Callable[..., bytes]
Received = Callable[[LabServer], tuple[int, int]]


class _Sink:
    def __init__(self, violations: list[Violation]) -> None:
        self._violations = violations

    def report(self, violation: Violation) -> None:
        self._violations.append(violation)


@pytest.fixture
def pinning(
    policy: Policy, anchors: Path, violations: list[Violation]
) -> Callable[..., OpenSSLPinning]:
    """Return a function that makes a pinning, which reports to `violations`."""

    def make(source: Any = policy, **options: Any) -> OpenSSLPinning:  # noqa: ANN401
        options = {"public_anchors": anchors, "sink": _Sink(violations), **options}
        return OpenSSLPinning(source, **options)

    return make


def _over_socket(connection: PinnedConnection) -> bytes:
    connection.sendall(_REQUEST)  # which begins with the handshake
    answer = b""
    with suppress(SSL.ZeroReturnError, SSL.SysCallError):
        while data := connection.recv(65536):
            answer += data
    return answer


def _over_memory(connection: PinnedConnection, tcp: socket.socket) -> bytes:
    """Drive memory BIOs as Twisted does: whatever OpenSSL wants to send is sent at once."""

    def drive(step: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        while True:
            try:
                return step(*arguments)
            except SSL.WantReadError:
                pass
            finally:
                with suppress(SSL.WantReadError):
                    tcp.sendall(connection.bio_read(65536))
            if data := tcp.recv(65536):
                connection.bio_write(data)
            else:
                connection.bio_shutdown()

    drive(connection.do_handshake)
    drive(connection.send, _REQUEST)
    return bytes(drive(connection.recv, 65536))


@pytest.fixture(params=["socket", "memory"])
def exchange(request: pytest.FixtureRequest, tcp: Callable[[LabServer], socket.socket]) -> Exchange:
    """Return a function that sends a request to a server, over sockets and over memory BIOs."""

    def exchange(pinning: OpenSSLPinning, server: LabServer, host: str = "localhost") -> bytes:
        sock = tcp(server)
        if request.param == "socket":
            sock.settimeout(None)
            return _over_socket(pinning.connection(host, sock))
        return _over_memory(pinning.connection(host), sock)

    return exchange


def _violation(
    exchange: Exchange, pinning: OpenSSLPinning, server: LabServer, host: str = "localhost"
) -> Violation:
    with pytest.raises(OpenSSLViolationError) as caught:
        exchange(pinning, server, host)
    assert isinstance(caught.value, SSL.Error)
    return caught.value.violation


def test_the_right_key(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    violations: list[Violation],
) -> None:
    """The server with the pinned key is talked to, by its leaf."""
    assert exchange(pinning(), start(identity)).endswith(b"hello from the lab\n")
    assert [] == violations


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("pyopenssl", "pyOpenSSL")


@pytest.mark.parametrize("pinned_ca", ["issuing", "honest"])
def test_a_pinned_ca(
    *,
    pinned_ca: str,
    request: pytest.FixtureRequest,
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    policy_for: PolicyFor,
    received: Received,
    impostor: Identity,
) -> None:
    """A CA on the verified path counts, the root too, which no server sends."""
    made = pinning(policy_for(ca=request.getfixturevalue(pinned_ca).spki_pin))

    assert exchange(made, start(identity)).endswith(b"hello from the lab\n")

    rogue = start(impostor)
    assert Outcome.MISMATCH is _violation(exchange, made, rogue).verdict.outcome
    assert (0, 0) == received(rogue)


def test_a_trusted_impostor(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    impostor: Identity,
    received: Received,
    violations: list[Violation],
) -> None:
    """Another key under a trusted CA gets no byte, and is reported."""
    server = start(impostor)

    violation = _violation(exchange, pinning(), server)

    assert Outcome.MISMATCH is violation.verdict.outcome
    assert Observed.NEW_KEY is violation.observed  # the anchor is one that was named
    assert [violation] == violations
    assert (0, 0) == received(server)


def test_padding_is_no_path(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    impostor: Identity,
    identity: Identity,
    received: Received,
) -> None:
    """The pinned certificate, sent along off the path, changes nothing (CVE-2016-2402)."""
    server = start(impostor.with_chain(*identity.chain))

    assert Outcome.MISMATCH is _violation(exchange, pinning(), server).verdict.outcome
    assert (0, 0) == received(server)


@pytest.mark.parametrize("place", ["leaf", "intermediate", "root"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_denied_key(
    *,
    place: str,
    host: str,
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    issuing: Authority,
    honest: Authority,
    policy_for: PolicyFor,
    received: Received,
) -> None:
    """A denied key on the path is refused on every host, the anchor's too."""
    pins = {"leaf": identity.spki_pin, "intermediate": issuing.spki_pin, "root": honest.spki_pin}
    server = start(identity)
    made = pinning(policy_for(denied=(pins[place],)))

    assert Outcome.DENIED is _violation(exchange, made, server, host).verdict.outcome
    assert (0, 0) == received(server)


def test_an_unlisted_host(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    impostor: Identity,
    policy_for: PolicyFor,
    received: Received,
    violations: list[Violation],
) -> None:
    """A host that no pattern covers passes, is reported, or is refused, as `unlisted` says."""
    server = start(impostor)
    assert exchange(pinning(), server, "127.0.0.1")
    assert [] == violations
    assert exchange(pinning(policy_for(unlisted=Unlisted.REPORT_ONLY)), server, "127.0.0.1")
    assert [Outcome.NOT_PINNED] == [violation.verdict.outcome for violation in violations]

    other = start(impostor)
    made = pinning(policy_for(unlisted=Unlisted.REFUSE))
    assert Outcome.NOT_PINNED is _violation(exchange, made, other, "127.0.0.1").verdict.outcome
    assert (0, 0) == received(other)


def test_report_only(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    impostor: Identity,
    policy_for: PolicyFor,
    violations: list[Violation],
) -> None:
    """A mismatch of a set that only reports goes on and is reported once."""
    assert exchange(pinning(policy_for(mode=Mode.REPORT_ONLY)), start(impostor))
    assert [(Outcome.MISMATCH, True)] == [
        (one.verdict.outcome, one.verdict.allowed) for one in violations
    ]


@pytest.mark.parametrize("flaw", ["unknown CA", "name", "expired"])
def test_openssl_and_the_name_have_a_say(
    *,
    flaw: str,
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    issuing: Authority,
    received: Received,
) -> None:
    """The pinned key does not help where the certificate does not verify for the host."""
    flawed = {
        "unknown CA": lambda: Authority.new("Unknown").issue("localhost", key=identity.key),
        "name": lambda: issuing.issue("elsewhere.example", key=identity.key),
        "expired": lambda: issuing.issue(
            "localhost", key=identity.key, not_after=datetime(2026, 1, 1, tzinfo=UTC)
        ),
    }
    server = start(flawed[flaw]())

    violation = _violation(exchange, pinning(), server)

    assert Outcome.UNTRUSTED is violation.verdict.outcome
    expected = {"name": Observed.WRONG_HOST, "expired": Observed.CLOCK}.get(flaw)
    assert expected is None or expected is violation.observed
    assert (0, 0) == received(server)


def test_name_constraints_are_openssl_s(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    honest: Authority,
    issuing: Authority,
    received: Received,
) -> None:
    """OpenSSL looks at name constraints after the leaf was judged; it has the last word."""
    ca = issuing.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(ca.subject)
        .issuer_name(ca.issuer)
        .public_key(ca.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
    )
    for extension in ca.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    names = x509.NameConstraints([x509.DNSName("example.org")], None)
    constrained = builder.add_extension(names, critical=True).sign(honest.key, hashes.SHA256())
    server = start(identity.with_chain(constrained))

    assert Outcome.UNTRUSTED is _violation(exchange, pinning(), server).verdict.outcome
    assert (0, 0) == received(server)


@pytest.mark.parametrize("flaw", ["unknown CA", "name"])
def test_an_unlisted_host_is_verified_too(
    flaw: str,
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    issuing: Authority,
    received: Received,
    violations: list[Violation],
) -> None:
    """Without pins the certificate still has to be made out for the host, by a trusted CA."""
    authority = issuing if flaw == "name" else Authority.new("Unknown")
    server = start(authority.issue("elsewhere.example" if flaw == "name" else "127.0.0.1"))

    with pytest.raises(SSL.Error) as caught:
        exchange(pinning(), server, "127.0.0.1")

    assert holdfast.violation_from(caught.value) is None
    assert [] == violations
    assert (0, 0) == received(server)


def test_private_trust(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    service: Identity,
    honest: Authority,
    mixed: Policy,
    received: Received,
) -> None:
    """A private set's own anchors vouch for its host, and public ones do not."""
    assert exchange(pinning(mixed), start(service), "mesh.internal")

    server = start(honest.issue("mesh.internal"))
    violation = _violation(exchange, pinning(mixed), server, "mesh.internal")
    assert Outcome.UNTRUSTED is violation.verdict.outcome
    assert (0, 0) == received(server)


def test_pins_only(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    device: Identity,
    mixed: Policy,
    honest: Authority,
    received: Received,
) -> None:
    """A device is known by its key alone; a trusted certificate for its name does not help."""
    assert exchange(pinning(mixed), start(device), "device.internal")

    server = start(honest.issue("device.internal").with_chain(device.certificate))
    violation = _violation(exchange, pinning(mixed), server, "device.internal")
    assert Outcome.MISMATCH is violation.verdict.outcome
    assert (0, 0) == received(server)


def test_the_client_certificate_does_not_reach_an_impostor(
    *,
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    version: ssl.TLSVersion,
    identity: Identity,
    impostor: Identity,
    honest: Authority,
    client_identity: Identity,
) -> None:
    """The handshake of a refused connection ends before the certificate leaves."""

    def configure(context: SSL.Context) -> None:
        context.use_certificate(client_identity.certificate)
        context.use_privatekey(client_identity.key)

    made = pinning(configure=configure)
    serve = partial(
        LabServer, minimum_version=version, maximum_version=version, client_anchors=[honest]
    )
    with serve(identity) as server:
        assert exchange(made, server)
        assert client_identity.der == server.connections[0].client_certificate
    with serve(impostor) as rogue:
        _violation(exchange, made, rogue)
        seen = rogue.wait_until(bool)[0]
        assert (None, False) == (seen.client_certificate, seen.handshake_completed)


def test_what_is_refused_stays_refused(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    impostor: Identity,
    received: Received,
    violations: list[Violation],
) -> None:
    """No method goes past a refusal, which is reported once."""
    server = start(impostor)
    connection = pinning().connection("localhost", tcp(server))
    connection.setblocking(True)
    for step in (
        connection.do_handshake,
        lambda: connection.send(b"x"),
        lambda: connection.write(b"x"),
        lambda: connection.sendall(b"x"),
        lambda: connection.recv(1),
        lambda: connection.read(1),
        lambda: connection.recv_into(bytearray(1)),
    ):
        with pytest.raises(OpenSSLViolationError):
            step()

    assert 1 == len(violations)
    assert (0, 0) == received(server)


def test_sessions_are_not_resumed(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    identity: Identity,
    still_open: ExitStack,
) -> None:
    """A session is refused by the method, and one that got in past it by the check at the end."""
    server, made = start(identity), pinning()
    first = made.connection("localhost", tcp(server))
    first.setblocking(True)
    _over_socket(first)
    session = first.get_session()
    assert session is not None
    second = made.connection("localhost", tcp(server))
    second.setblocking(True)

    with pytest.raises(holdfast.HoldfastError, match="does not resume"):
        second.set_session(session)
    SSL.Connection.set_session(second, session)
    with pytest.raises(OpenSSLViolationError, match="without a check of the path"):
        second.do_handshake()

    still_open.close()
    assert server.wait_for(closed=2)[1].resumed
    assert 0 == server.connections[1].application_bytes


def test_verification_cannot_be_replaced(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    impostor: Identity,
    received: Received,
) -> None:
    """Neither another context nor other verification; what is switched off underneath is seen."""
    server = start(impostor)
    connection = pinning().connection("localhost", tcp(server))
    connection.setblocking(True)
    with pytest.raises(holdfast.HoldfastError):
        connection.set_context(SSL.Context(SSL.TLS_CLIENT_METHOD))
    with pytest.raises(holdfast.HoldfastError):
        connection.set_verify(SSL.VERIFY_NONE)
    SSL.Connection.set_verify(connection, SSL.VERIFY_NONE, lambda *_: True)

    with pytest.raises(OpenSSLViolationError, match="without a check"):
        connection.sendall(_REQUEST)

    assert (0, 0) == received(server)


@pytest.mark.parametrize("case", ["mismatch", "untrusted"])
def test_a_verdict_that_openssl_ignores_still_counts(
    case: str,
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    impostor: Identity,
    received: Received,
) -> None:
    """Where OpenSSL was told to go on regardless, the end of the handshake is the end."""
    unknown = Authority.new("Unknown").issue("127.0.0.1")
    server = start(impostor if case == "mismatch" else unknown)
    host = "localhost" if case == "mismatch" else "127.0.0.1"
    connection = pinning().connection(host, tcp(server))
    connection.setblocking(True)
    SSL.Connection.set_verify(connection, SSL.VERIFY_NONE, _on_certificate)

    with pytest.raises(holdfast.HoldfastError) as caught:
        connection.sendall(_REQUEST)

    is_violation = isinstance(caught.value, OpenSSLViolationError)
    assert is_violation is (case == "mismatch")
    assert is_violation or "switched off underneath" in str(caught.value)
    assert (0, 0) == received(server)


def test_an_accepted_connection_works_as_ever(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    identity: Identity,
) -> None:
    """A second handshake does nothing, and each way to read and write is open."""
    connection = pinning().connection("localhost", tcp(start(identity)))
    connection.setblocking(True)
    connection.do_handshake()
    connection.do_handshake()

    buffer = bytearray(100)
    assert len(_REQUEST) == connection.write(_REQUEST)
    count = connection.recv_into(buffer)

    assert buffer[:count].startswith(b"HTTP/1.1 200")


def test_a_closed_connection_is_not_judged_again(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    identity: Identity,
    policy_for: PolicyFor,
    violations: list[Violation],
) -> None:
    """Only what is open, and was accepted, can be ended by another policy."""
    made = pinning()
    connection = made.connection("localhost", tcp(start(identity)))
    connection.setblocking(True)
    assert not connection._holdfast_judge_again()  # not accepted yet
    connection.do_handshake()
    assert connection._holdfast_judge_again()

    made.judge._source = policy_for(denied=(identity.spki_pin,))
    connection.close()

    assert not connection._holdfast_judge_again()
    assert [] == violations


def test_a_foreign_connection_of_the_context_is_refused(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    identity: Identity,
    received: Received,
) -> None:
    """A connection that was made past the pinning has no host, so nothing is accepted for it."""
    server = start(identity)
    made = pinning()
    context = made.connection("localhost").get_context()
    stray = SSL.Connection(context, tcp(server))
    stray.setblocking(True)
    stray.set_connect_state()

    with pytest.raises(SSL.Error):
        stray.do_handshake()

    assert (0, 0) == received(server)


def test_an_open_connection_ends_with_its_pins(
    pinning: Callable[..., OpenSSLPinning],
    tcp: Callable[[LabServer], socket.socket],
    start: Start,
    identity: Identity,
    policy: Policy,
    policy_for: PolicyFor,
    violations: list[Violation],
) -> None:
    """When the policy denies its key, a connection is shut down within moments."""

    class Source:
        now = policy

        def current(self) -> Policy:
            return self.now

    source = Source()
    server = start(identity)
    connection = pinning(source).connection("localhost", tcp(server))
    connection.setblocking(True)
    connection.do_handshake()

    source.now = policy_for(denied=(identity.spki_pin,))
    deadline = time.monotonic() + 10
    while not violations and time.monotonic() < deadline:
        time.sleep(0.02)

    assert [Outcome.DENIED] == [violation.verdict.outcome for violation in violations]
    with pytest.raises(OpenSSLViolationError):
        connection.sendall(_REQUEST)
    assert 0 == server.wait_for(closed=1)[0].application_bytes


def test_a_check_that_fails_refuses(
    pinning: Callable[..., OpenSSLPinning],
    exchange: Exchange,
    start: Start,
    identity: Identity,
    received: Received,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error in the check is a refusal with its reason, and no exception of somebody else."""
    made, server = pinning(), start(identity)

    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(made.judge, "decide", fail)

    violation = _violation(exchange, made, server)
    assert Outcome.UNDECIDABLE is violation.verdict.outcome
    assert "out of order" in violation.verdict.reason
    assert (0, 0) == received(server)


@pytest.mark.parametrize("host", ["", "local host", "127.1"])
def test_a_name_is_needed(host: str, pinning: Callable[..., OpenSSLPinning]) -> None:
    """Without a name nothing could be checked."""
    with pytest.raises(holdfast.HoldfastError):
        pinning().connection(host)


def test_a_policy_is_needed() -> None:
    """What is no policy is an error at once."""
    with pytest.raises(TypeError, match="pins take a policy"):
        OpenSSLPinning("pins.toml")  # type: ignore[arg-type]


def test_contexts_are_made_anew_at_the_limit(
    pinning: Callable[..., OpenSSLPinning], mixed: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trust has a context of its own, and no more are kept than the limit says."""
    monkeypatch.setattr("holdfast.enforcement.clients.pyopenssl._MEMORY_LIMIT", 1)
    made = pinning(mixed)
    contexts = [
        made.connection(host).get_context()
        for host in ("localhost", "mesh.internal", "device.internal", "localhost")
    ]

    assert 4 == len(set(map(id, contexts)))
    assert 1 == len(made._contexts)


def test_the_platform_store(
    policy: Policy,
    exchange: Exchange,
    start: Start,
    identity: Identity,
    anchors: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without anchors of its own a pinning trusts what the platform does."""
    monkeypatch.setenv("SSL_CERT_FILE", str(anchors))

    assert exchange(OpenSSLPinning(policy), start(identity))
