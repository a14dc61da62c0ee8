import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from holdfast.enforcement.context_pinning import pinning_of
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.process_wide import begin, uninstall
from holdfast.errors import HostNameError, PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict, Violation

DEVICE = "device.internal"
MESH = "mesh.internal"
NOTHING = (0, 0)
PATIENCE = 10.0  # seconds
SERVED = b"HTTP/1.1 200 OK"

Connect = Callable[..., ssl.SSLSocket]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Install = Callable[..., None]
PolicyFor = Callable[..., Policy]
Received = Callable[[LabServer], tuple[int, int]]
Start = Callable[..., LabServer]
Stock = Callable[[], ssl.SSLContext]


class Source:
    """A policy source that is told what to say."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy."""
        return self.policy


def _until(condition: Callable[[], object]) -> None:
    """Wait until something holds, which another thread brings about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _outcomes(violations: list[Violation]) -> list[Outcome]:
    return [violation.verdict.outcome for violation in violations]


@pytest.mark.parametrize("mode", Mode)
def test_verification_off_is_refused_for_a_listed_host(
    start: Start,
    identity: Identity,
    installed: Install,
    policy_for: PolicyFor,
    exchange: Exchange,
    violations: list[Violation],
    mode: Mode,
) -> None:
    """Without verification a path means nothing, whatever the mode: it says so and is reported."""
    server = start(identity)
    installed(policy_for(mode=mode))

    with pytest.raises(PinViolationError, match="verify=False"):
        exchange(server, _unverified())

    assert 0 == server.application_bytes
    assert [Outcome.UNDECIDABLE] == _outcomes(violations)


def test_verification_switched_off_later_is_noticed(
    start: Start, identity: Identity, installed: Install, stock: Stock, connect: Connect
) -> None:
    """It counts what is set when OpenSSL's object is made, and what a connection did before."""
    server = start(identity)
    installed()
    context = stock()
    connect(server, context).close()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    with pytest.raises(PinViolationError, match="verification off"):
        connect(server, context)


def test_an_unlisted_host_without_verification_is_let_through(
    start: Start, impostor: Identity, installed: Install, exchange: Exchange
) -> None:
    """What the policy does not speak of is the application's own affair."""
    server = start(impostor)
    installed()

    answer, _ = exchange(server, _unverified(), "127.0.0.1")

    assert answer.startswith(SERVED)


@pytest.mark.parametrize("rule", ["refuse", "denied"])
def test_an_unverified_path_satisfies_no_rule(
    start: Start,
    impostor: Identity,
    identity: Identity,
    installed: Install,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
    rule: str,
) -> None:
    """Where unlisted hosts are refused or a key is denied, nobody can tell without verification."""
    server = start(impostor)
    if rule == "refuse":
        installed(policy_for(unlisted=Unlisted.REFUSE))
    else:
        installed(policy_for(denied=(identity.spki_pin,)))

    with pytest.raises(PinViolationError):
        exchange(server, _unverified(), "127.0.0.1")

    assert NOTHING == received(server)


@pytest.mark.parametrize("name", ["", None, "two words"])
def test_what_has_no_name_is_refused(installed: Install, stock: Stock, name: str | None) -> None:
    """A connection without a name, or with something else in its place, could be to anybody."""
    installed()
    context = stock()
    context.check_hostname = False

    with pytest.raises((PinnedContextError, HostNameError)):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)


def test_who_observes_refuses_nothing(
    start: Start, impostor: Identity, exchange: Exchange, violations: list[Violation]
) -> None:
    """No name, no verification, no pins: all pass, and all are told."""

    class Sink:
        report = staticmethod(violations.append)

    told: list[Verdict] = []
    server = start(impostor)
    begin(Policy(unlisted=Unlisted.REPORT_ONLY), Sink(), tally=told.append, observes=True)
    try:
        context = _unverified()
        tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        answer, _ = exchange(server, context)
    finally:
        uninstall()

    assert ssl.SSLObject is type(tls)
    assert answer.startswith(SERVED)
    assert ["(no name)", "localhost"] == [verdict.host for verdict in told]
    assert [True, True] == [verdict.allowed for verdict in told]
    assert [Outcome.NOT_PINNED] == _outcomes(violations)


def test_the_name_check_is_on_for_listed_hosts(
    start: Start,
    honest: Authority,
    installed: Install,
    policy_for: PolicyFor,
    stock: Stock,
    exchange: Exchange,
    received: Received,
) -> None:
    """A library that checks names itself, afterwards, does not make a listed host go unchecked."""
    elsewhere = honest.issue("elsewhere.example")
    server = start(elsewhere)
    installed(policy_for(leaf=elsewhere.spki_pin))
    context = stock()
    context.check_hostname = False

    with pytest.raises(PinViolationError) as caught:
        exchange(server, context)
    answer, _ = exchange(server, context, "127.0.0.1")

    assert Outcome.UNTRUSTED is caught.value.violation.verdict.outcome
    assert answer.startswith(SERVED)
    assert context.check_hostname is False


def test_the_name_check_is_on_for_no_other_connection(
    start: Start,
    honest: Authority,
    identity: Identity,
    installed: Install,
    stock: Stock,
) -> None:
    """While a listed host's connection is made, one to another host is not made with the check."""
    server, elsewhere = start(identity), start(honest.issue("elsewhere.example"))
    installed()
    context = stock()
    context.check_hostname = False
    failures: list[BaseException] = []

    def talk(server: LabServer, name: str) -> None:
        try:
            for _ in range(20):
                with (
                    socket.create_connection((server.address, server.port), timeout=5) as tcp,
                    context.wrap_socket(tcp, server_hostname=name),
                ):
                    pass
        except BaseException as error:  # noqa: BLE001  told by the test
            failures.append(error)

    pairs = [(server, "localhost"), (elsewhere, "127.0.0.1")] * 3
    threads = [threading.Thread(target=talk, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert context.check_hostname is False


@pytest.fixture
def listed_later(policy_for: PolicyFor, honest: Authority) -> tuple[Source, Policy]:
    """A source that does not list the server, and the policy by which it does, by the CA."""
    return Source(policy_for(hosts=("other.example",))), policy_for(ca=honest.spki_pin)


@pytest.mark.parametrize("checked", [True, False])
def test_a_path_without_the_name_check_counts_for_no_host_that_is_listed_later(  # noqa: PLR0917  fixtures
    start: Start,
    honest: Authority,
    issuing: Authority,
    installed: Install,
    stock: Stock,
    exchange: Exchange,
    connect: Connect,
    listed_later: tuple[Source, Policy],
    violations: list[Violation],
    checked: bool,
) -> None:
    """Neither an open connection nor a session gets a match that it owes to another name."""
    source, later = listed_later
    server = start(honest.issue("localhost" if checked else "elsewhere.example"))
    installed(source)
    context = stock()
    context.check_hostname = checked
    tls = connect(server, context)
    _, session = exchange(server, context)

    source.policy = later
    if checked:
        exchange(server, context, "localhost", session)
        tls.send(b"GET")
        assert [] == violations
        return
    with pytest.raises(PinViolationError, match="path is not known"):
        exchange(server, context, "localhost", session)
    _until(lambda: any("without a check of the name" in one.verdict.reason for one in violations))
    with pytest.raises(PinViolationError, match="without a check of the name"):
        tls.send(b"GET")


def test_an_unlisted_session_is_resumed_without_the_name_check(
    start: Start,
    honest: Authority,
    installed: Install,
    policy_for: PolicyFor,
    spare_pin: Pin,
    stock: Stock,
    exchange: Exchange,
) -> None:
    """While the policy does not list the host it goes on as before, denied keys looked for."""
    server = start(honest.issue("elsewhere.example"))
    installed(policy_for(hosts=("other.example",), denied=(str(spare_pin),)))
    context = stock()
    context.check_hostname = False

    _, session = exchange(server, context)
    exchange(server, context, "localhost", session)

    assert [False, True] == [one.resumed for one in server.connections]


def test_a_connection_may_be_made_while_another_one_is_made(
    installed: Install, policy: Policy, stock: Stock
) -> None:
    """A signal handler or a finalizer that connects does not wait for its own thread."""
    installed()
    context = stock()
    context.check_hostname = False
    pinning = pinning_of(context)
    assert pinning is not None
    admission = pinning.admit(context, str(policy.pin_sets[0].hosts[0]), blocking=True)
    seen: list[bool] = []

    def create(maker: ssl.SSLContext, _: object) -> None:
        if not seen:
            seen.append(maker.check_hostname)
            pinning.make(admission, create, None)
        seen.append(maker.check_hostname)

    thread = threading.Thread(target=pinning.make, args=(admission, create, None), daemon=True)
    thread.start()
    thread.join(5)

    assert [True, True, True] == seen
    assert context.check_hostname is False


def test_an_unverified_session_is_resumed_where_nothing_is_judged(
    start: Start, impostor: Identity, installed: Install, exchange: Exchange
) -> None:
    """FTP over TLS resumes the session of its control connection, verified or not."""
    server = start(impostor)
    installed()
    context = _unverified()
    _, session = exchange(server, context, "127.0.0.1")

    answer, _ = exchange(server, context, "127.0.0.1", session)

    assert session is not None
    assert answer.startswith(SERVED)


def test_private_and_pins_only_hosts_are_reached(
    start: Start,
    service: Identity,
    device: Identity,
    installed: Install,
    mixed: Policy,
    stock: Stock,
    exchange: Exchange,
) -> None:
    """One stock context reaches hosts of each trust, and no set vouches for another's hosts."""
    mesh, gadget = start(service), start(device)
    installed(mixed)
    context = stock()

    assert exchange(mesh, context, MESH)[0].startswith(SERVED)
    assert exchange(gadget, context, DEVICE)[0].startswith(SERVED)
    with pytest.raises(PinViolationError):
        exchange(mesh, context, "localhost")
    with pytest.raises(PinViolationError):
        exchange(gadget, context, MESH)


def test_settings_reach_a_device(
    start: Start,
    device: Identity,
    installed: Install,
    mixed: Policy,
    stock: Stock,
    connect: Connect,
) -> None:
    """The protocols that a library chooses are offered to hosts of pins-only sets too."""
    server = start(device, partial(LabServer, alpn=("http/1.1",)))
    installed(mixed)
    context = stock()
    context.set_alpn_protocols(["http/1.1"])

    assert "http/1.1" == connect(server, context, DEVICE).selected_alpn_protocol()


def test_an_older_context_does_not_reach_a_device(
    start: Start,
    device: Identity,
    service: Identity,
    installed: Install,
    mixed: Policy,
    stock: Stock,
    exchange: Exchange,
) -> None:
    """Its settings cannot be asked for, and another context would have to take its place."""
    server, mesh = start(device), start(service)
    context = stock()
    installed(mixed)

    with pytest.raises(PinViolationError, match="begin enforcement earlier"):
        exchange(server, context, DEVICE)

    assert exchange(mesh, context, MESH)[0].startswith(SERVED)
    assert 0 == server.application_bytes


@pytest.fixture
def ask(start: Start, honest: Authority) -> Callable[[Identity], LabServer]:
    """Return a function that starts a server which asks for the client's certificate."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    return partial(start, make=make)


def test_a_client_certificate_is_kept_back(
    ask: Callable[[Identity], LabServer],
    identity: Identity,
    impostor: Identity,
    client_identity: Identity,
    installed: Install,
    stock: Stock,
    exchange: Exchange,
    received: Received,
) -> None:
    """The right server sees it, an impostor does not, and an unlisted host does as ever."""
    server, rogue = ask(identity), ask(impostor)
    installed()
    context = stock()
    client_identity.load_into(context)

    exchange(server, context)
    exchange(rogue, context, "127.0.0.1")
    with pytest.raises(PinViolationError):
        exchange(rogue, context)

    received(rogue)  # when it is over
    assert [client_identity.der] == [one.client_certificate for one in server.connections]
    assert [client_identity.der, None] == [one.client_certificate for one in rogue.connections]


def test_a_client_certificate_is_given_back(
    ask: Callable[[Identity], LabServer],
    impostor: Identity,
    client_identity: Identity,
    installed: Install,
    stock: Stock,
    exchange: Exchange,
) -> None:
    """Who uninstalls has contexts that show their certificate as if nothing had been."""
    server = ask(impostor)
    installed()
    context = stock()
    client_identity.load_into(context)
    uninstall()

    exchange(server, context)

    assert pinning_of(context) is None
    assert [client_identity.der] == [one.client_certificate for one in server.connections]


def test_a_client_certificate_is_kept_back_again(
    ask: Callable[[Identity], LabServer],
    identity: Identity,
    impostor: Identity,
    client_identity: Identity,
    installed: Install,
    stock: Stock,
    exchange: Exchange,
    received: Received,
) -> None:
    """Who uninstalls and installs again has contexts that show it to the right server only."""
    server, rogue = ask(identity), ask(impostor)
    installed()
    context = stock()
    client_identity.load_into(context)
    uninstall()
    installed()

    exchange(server, context)
    client_identity.load_into(context)
    exchange(server, context)
    with pytest.raises(PinViolationError):
        exchange(rogue, context)

    received(rogue)  # when it is over
    assert [client_identity.der] * 2 == [one.client_certificate for one in server.connections]
    assert [None] == [one.client_certificate for one in rogue.connections]


class _OwnSocket(ssl.SSLSocket):
    """The class of a library that makes connections in its own way."""


class _OwnObject(ssl.SSLObject):
    """The same over BIOs."""


class _OwnClasses(ssl.SSLContext):
    sslsocket_class = _OwnSocket
    sslobject_class = _OwnObject


@pytest.mark.parametrize("observes", [False, True])
def test_what_has_classes_of_its_own_is_let_pass_where_nothing_is_refused(
    ask: Callable[[Identity], LabServer],
    impostor: Identity,
    client_identity: Identity,
    policy: Policy,
    anchors: Path,
    exchange: Exchange,
    observes: bool,
) -> None:
    """It reaches an unlisted host as ever, with its certificate, and any if nothing is refused."""
    server = ask(impostor)
    told: list[Verdict] = []
    name = "localhost" if observes else "127.0.0.1"
    begin(policy, LogSink(), tally=told.append, observes=observes)
    try:
        context = _OwnClasses(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(anchors)
        client_identity.load_into(context)
        answer, _ = exchange(server, context, name)
    finally:
        uninstall()

    assert answer.startswith(SERVED)
    assert [client_identity.der] == [one.client_certificate for one in server.connections]
    assert [(name, Outcome.NOT_PINNED)] == [(verdict.host, verdict.outcome) for verdict in told]


def test_classes_of_its_own_do_not_reach_a_listed_host(
    start: Start, identity: Identity, installed: Install, anchors: Path, exchange: Exchange
) -> None:
    """Nobody would judge them."""
    server = start(identity)
    installed()
    context = _OwnClasses(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(anchors)

    with pytest.raises(PinnedContextError, match="would not be pinned"):
        exchange(server, context)


@pytest.mark.parametrize("kind", ["older", "for-both-sides"])
def test_a_certificate_that_cannot_be_kept_back_stays_at_home(
    start: Start,
    identity: Identity,
    anchors: Path,
    client_identity: Identity,
    installed: Install,
    connect: Connect,
    kind: str,
) -> None:
    """It is loaded as ever into such contexts, which blocking connections may not use then."""
    server = start(identity)
    context = ssl.create_default_context(cafile=anchors)
    installed()
    if kind == "for-both-sides":
        with pytest.deprecated_call():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS)
        context.load_verify_locations(anchors)
        context.verify_mode = ssl.CERT_REQUIRED
    client_identity.load_into(context)

    with pytest.raises(PinnedContextError, match="async client"):
        connect(server, context)
