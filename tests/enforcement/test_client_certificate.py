"""Whether a rogue server sees the client's certificate, judged by what it received."""

import contextlib
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from holdfast.enforcement import context_pinning
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Violation

NOTHING = (0, 0)
DEVICE = "device.internal"
MESH = "mesh.internal"
SERVED = b"HTTP/1.1 200 OK"

Ask = Callable[[Identity], LabServer]
Connect = Callable[..., ssl.SSLSocket]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]
Received = Callable[[LabServer], tuple[int, int]]


@pytest.fixture
def ask(start: Callable[..., LabServer], honest: Authority) -> Ask:
    """Return a function that starts a server which asks for the client's certificate."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    return partial(start, make=make)


@pytest.fixture
def showing(pinned: Pinned, client_identity: Identity) -> Pinned:
    """Return a function that makes a pinned context with a client's certificate."""

    def make(*arguments: Policy) -> PinningContext:
        context = pinned(*arguments)
        client_identity.load_into(context)
        return context

    return make


def _shown(server: LabServer) -> list[bytes | None]:
    return [one.client_certificate for one in server.connections]


def test_the_pinned_server_sees_it(
    ask: Ask, identity: Identity, client_identity: Identity, showing: Pinned, exchange: Exchange
) -> None:
    """A server whose path is accepted is shown the certificate that it asks for."""
    server = ask(identity)
    answer, _ = exchange(server, showing())

    assert answer.startswith(SERVED)
    assert [client_identity.der] == _shown(server)


@pytest.mark.threat("T31")
def test_an_impostor_does_not_see_it(
    ask: Ask,
    impostor: Identity,
    showing: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """A server with another key gets no certificate and no byte, and one violation is reported."""
    server = ask(impostor)
    with pytest.raises(PinViolationError) as refusal:
        exchange(server, showing())

    assert NOTHING == received(server)
    assert [None] == _shown(server)
    assert not server.connections[0].handshake_completed
    (violation,) = violations
    assert (Outcome.MISMATCH, Observed.NEW_KEY) == (violation.verdict.outcome, violation.observed)
    assert refusal.value.violation is violation


def test_the_port_is_reported(
    ask: Ask, impostor: Identity, showing: Pinned, connect: Connect, violations: list[Violation]
) -> None:
    """The violation says to which port, although the connection ended within OpenSSL."""
    server = ask(impostor)
    with pytest.raises(PinViolationError):
        connect(server, showing())

    assert [server.port] == [violation.port for violation in violations]


def test_a_denied_key_does_not_see_it(
    ask: Ask,
    identity: Identity,
    policy: Policy,
    showing: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """A key that is denied gets no certificate, although the path has a pin."""
    server = ask(identity)
    denied = replace(policy, denied=policy.pin_sets[0].leaf)
    with pytest.raises(PinViolationError, match="denied"):
        exchange(server, showing(denied))

    assert NOTHING == received(server)
    assert [None] == _shown(server)


@pytest.mark.parametrize(
    ("name", "unlisted"),
    [
        ("localhost", Unlisted.REFUSE),
        ("other.example", Unlisted.ALLOW),
        ("other.example", Unlisted.REPORT_ONLY),
    ],
)
def test_it_is_shown_where_nothing_is_enforced(
    *,
    ask: Ask,
    impostor: Identity,
    client_identity: Identity,
    showing: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    name: str,
    unlisted: Unlisted,
) -> None:
    """A report-only set, and an unlisted host that may pass, work as they would without pins."""
    server = ask(impostor)
    exchange(server, showing(policy_for(mode=Mode.REPORT_ONLY, unlisted=unlisted)), name)

    assert [client_identity.der] == _shown(server)


def test_an_unlisted_host_that_is_refused_does_not_see_it(
    ask: Ask,
    impostor: Identity,
    showing: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
) -> None:
    """Where the policy refuses hosts that it does not list, they get no certificate either."""
    server = ask(impostor)
    with pytest.raises(PinViolationError):
        exchange(server, showing(policy_for(unlisted=Unlisted.REFUSE)), "other.example")

    assert NOTHING == received(server)
    assert [None] == _shown(server)


def test_what_cannot_be_decided_does_not_see_it(
    ask: Ask,
    identity: Identity,
    showing: Pinned,
    exchange: Exchange,
    received: Received,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check that fails within OpenSSL ends the connection as one that says no."""
    server, context = ask(identity), showing()
    monkeypatch.setattr(context._holdfast_pinning.enforcement.judge, "decide", lambda *_: 1 / 0)
    with pytest.raises(PinViolationError, match="ZeroDivisionError"):
        exchange(server, context)

    assert NOTHING == received(server)
    assert [None] == _shown(server)


def test_it_stays_with_a_server_that_does_not_verify(
    ask: Ask, showing: Pinned, exchange: Exchange, received: Received
) -> None:
    """A server under a CA that nobody trusts is refused by OpenSSL, before anything is shown."""
    server = ask(Authority.new("Nobody's").issue("localhost"))
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, showing())

    assert NOTHING == received(server)
    assert [None] == _shown(server)


def test_sessions_are_resumed(
    ask: Ask, identity: Identity, client_identity: Identity, showing: Pinned, exchange: Exchange
) -> None:
    """A session made with a certificate is good for the next connection of the context."""
    server, context = ask(identity), showing()
    _, session = exchange(server, context)
    answer, _ = exchange(server, context, "localhost", session)

    assert answer.startswith(SERVED)
    assert [False, True] == [one.resumed for one in server.connections]


def test_the_context_stays_the_pinned_one(
    ask: Ask, identity: Identity, showing: Pinned, connect: Connect
) -> None:
    """A connection names the context that made it, and its settings, whatever held the key."""
    context = showing()
    context.set_alpn_protocols(["http/1.1"])
    tls = connect(ask(identity), context)

    assert context is tls.context


def _late_server(identity: Identity, anchor: Authority) -> ssl.SSLContext:
    """Return the context of a server that asks for the certificate after the handshake."""
    context = identity.server_context(
        minimum_version=ssl.TLSVersion.TLSv1_3,
        client_anchors=[anchor],
        require_client_certificate=True,
    )
    context.post_handshake_auth = True
    return context


def _joined(
    context: ssl.SSLContext,
    server_context: ssl.SSLContext,
    host: str = "localhost",
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return client and server after their handshake, with a session in the client's hands."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(client_in, client_out, server_hostname=host, session=session)
    server = server_context.wrap_bio(client_out, client_in, server_side=True)
    for _ in range(4):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    server.write(b"tickets")
    assert client.read() == b"tickets"
    return client, server


def _ask_late(client: ssl.SSLObject, server: ssl.SSLObject) -> bytes | None:
    """Return the certificate that the server gets when it asks now."""
    assert server.getpeercert(binary_form=True) is None
    server.verify_client_post_handshake()
    server.write(b"ask")
    assert client.read() == b"ask"
    client.write(b"answer")
    assert server.read() == b"answer"
    return server.getpeercert(binary_form=True)


@pytest.mark.parametrize("host", ["localhost", MESH, DEVICE])
def test_it_can_be_asked_for_later(
    *,
    host: str,
    identity: Identity,
    service: Identity,
    device: Identity,
    mixed: Policy,
    client_identity: Identity,
    honest: Authority,
    showing: Pinned,
) -> None:
    """With post-handshake authentication switched on, the certificate stays within reach."""
    context = showing(mixed)
    context.post_handshake_auth = True
    shown = {"localhost": identity, MESH: service, DEVICE: device}[host]
    client, server = _joined(context, _late_server(shown, honest), host)

    assert client_identity.der == _ask_late(client, server)
    assert client.session is None
    assert context is client.context


@pytest.mark.parametrize("host", ["localhost", MESH])
def test_it_can_be_asked_for_in_a_resumed_session(
    *,
    host: str,
    identity: Identity,
    service: Identity,
    mixed: Policy,
    client_identity: Identity,
    honest: Authority,
    showing: Pinned,
) -> None:
    """Post-handshake authentication takes no session away, and a session does not prevent it."""
    context = showing(mixed)
    context.post_handshake_auth = True
    server_context = _late_server({"localhost": identity, MESH: service}[host], honest)
    first, _ = _joined(context, server_context, host)
    client, server = _joined(context, server_context, host, first.session)

    assert client.session_reused
    assert client_identity.der == _ask_late(client, server)


def test_it_is_loaded_as_always(pinned: Pinned, client_identity: Identity, tmp_path: Path) -> None:
    """Errors of a file or of its password come when it is loaded, as from `ssl`."""
    context = pinned()
    (tmp_path / "bad.pem").write_text("nothing")

    with pytest.raises(FileNotFoundError):
        context.load_cert_chain(tmp_path / "none.pem")
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(tmp_path / "bad.pem")
    assert context._holdfast_pinning.certificate_holder is None


def test_a_second_certificate_takes_the_place_of_the_first(
    ask: Ask, identity: Identity, honest: Authority, showing: Pinned, exchange: Exchange
) -> None:
    """What was loaded last is shown."""
    server, context = ask(identity), showing()
    other = honest.issue("other.client", usage="client")
    other.load_into(context)
    exchange(server, context)

    assert [other.der] == _shown(server)


def test_its_chain_is_completed(
    ask: Ask, identity: Identity, honest: Authority, pinned: Pinned, exchange: Exchange
) -> None:
    """A file with the leaf alone will do where the context has the CA above it, as with `ssl`."""
    issuing, context = honest.intermediate("Clients"), pinned()
    alone = issuing.issue(common_name="client", usage="client").with_chain()
    context.load_verify_locations(cadata=issuing.pem)
    alone.load_into(context)
    server = ask(identity)
    answer, _ = exchange(server, context)

    assert answer.startswith(SERVED)
    assert [alone.der] == _shown(server)


@pytest.mark.parametrize("is_loaded_first", [False, True])
def test_the_security_level_is_that_of_the_context(
    *, is_loaded_first: bool, honest: Authority, client_identity: Identity, pinned: Pinned
) -> None:
    """A key that the ciphers' security level allows is loaded, as with `ssl`."""
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    weak, context = honest.issue(common_name="client", usage="client", key=small), pinned()
    if is_loaded_first:
        client_identity.load_into(context)
    with pytest.raises(ssl.SSLError, match="TOO_SMALL"):
        weak.load_into(context)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    weak.load_into(context)

    assert context._holdfast_pinning.certificate_holder is not None


@pytest.mark.parametrize("host", ["localhost", MESH, DEVICE])
@pytest.mark.parametrize("loads", [False, True])
def test_secrets_are_logged(
    *,
    host: str,
    loads: bool,
    ask: Ask,
    identity: Identity,
    service: Identity,
    device: Identity,
    mixed: Policy,
    client_identity: Identity,
    version: ssl.TLSVersion,
    pinned: Pinned,
    exchange: Exchange,
    tmp_path: Path,
) -> None:
    """The key log, asked for to debug a connection, has all its secrets, whatever it is given."""
    context, log = pinned(mixed), tmp_path / "keys"
    context.keylog_filename = str(log)
    if loads:
        client_identity.load_into(context)
    exchange(ask({"localhost": identity, MESH: service, DEVICE: device}[host]), context, host)
    secrets = [line for line in log.read_text().splitlines() if not line.startswith("#")]

    assert str(log) == context.keylog_filename
    assert (1 if version is ssl.TLSVersion.TLSv1_2 else 5) == len(secrets)


def test_a_library_shows_it(
    ask: Ask,
    identity: Identity,
    impostor: Identity,
    client_identity: Identity,
    showing: Pinned,
) -> None:
    """urllib, which knows nothing of this, shows it to the pinned server and to no other."""
    server, rogue, context = ask(identity), ask(impostor), showing()
    with urllib.request.urlopen(server.url, context=context, timeout=5) as response:
        assert response.status == 200
    with pytest.raises(OSError, match="mismatch"):
        urllib.request.urlopen(rogue.url, context=context, timeout=5)
    rogue.wait_for(1)

    assert ([client_identity.der], [None]) == (_shown(server), _shown(rogue))


# --- Where the private callback is gone ----------------------------------------------------------


@pytest.fixture
def without_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without the callback that tells of messages."""
    monkeypatch.setattr(context_pinning, "HAS_MESSAGE_CALLBACK", False)


@pytest.mark.usefixtures("without_callback")
@pytest.mark.parametrize(
    ("name", "unlisted"), [("localhost", Unlisted.ALLOW), ("other.example", Unlisted.REFUSE)]
)
def test_without_the_callback_blocking_connections_are_refused(
    *,
    ask: Ask,
    impostor: Identity,
    showing: Pinned,
    policy_for: PolicyFor,
    connect: Connect,
    name: str,
    unlisted: Unlisted,
) -> None:
    """An enforced host, or an unlisted one that is refused, gets not even a TCP byte."""
    context = showing(policy_for(unlisted=unlisted))
    server = ask(impostor)

    with pytest.raises(PinnedContextError, match="async"):
        connect(server, context, name)
    assert all(not one.handshake_completed for one in server.connections)


@pytest.mark.usefixtures("without_callback")
def test_without_the_callback_report_only_hosts_see_it(
    ask: Ask,
    impostor: Identity,
    client_identity: Identity,
    showing: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
) -> None:
    """Where nothing is enforced, there is nothing to keep back."""
    server = ask(impostor)
    exchange(server, showing(policy_for(mode=Mode.REPORT_ONLY)))

    assert [client_identity.der] == _shown(server)


@pytest.mark.usefixtures("without_callback")
def test_without_the_callback_the_certificate_counts_from_before_it_is_loaded(
    pinned: Pinned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection made by another thread during the loading may have it, and is refused."""
    context = pinned()
    loaded: list[str] = []

    def load(*_: object) -> None:
        with pytest.raises(PinnedContextError, match="async"):
            context._holdfast_pinning.admit(context, "localhost", blocking=True)
        loaded.append("certificate")

    monkeypatch.setattr(context_pinning, "CContext", SimpleNamespace(load_cert_chain=load))
    context.load_cert_chain("client.pem")

    assert ["certificate"] == loaded


def test_a_callback_of_somebody_else_keeps_it_back(
    ask: Ask, identity: Identity, showing: Pinned, exchange: Exchange
) -> None:
    """Who takes the callback away takes the certificate away with it, and no check."""
    server, context = ask(identity), showing()
    context._msg_callback = lambda *_: None  # type: ignore[attr-defined]  # private to CPython
    answer, _ = exchange(server, context)

    assert answer.startswith(SERVED)
    assert [None] == _shown(server)
