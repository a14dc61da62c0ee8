"""Attacks on a pinned server, with stock TLS clients; judged by what its application saw: nothing.

Each attacker would be let in by a server that only verifies client certificates, or is the reason
for a seal; that the right client gets through, by the same way, is the first test.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.enforcement.pinned_client import PinnedClient
from holdfast.enforcement.server_context import PinnedServerContext
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

PAYMENTS = "spiffe://example.org/payments"
WELCOME = b"welcome"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)

Make = Callable[..., PinnedServerContext]
Serve = Callable[[ssl.SSLContext], Any]
Visit = Callable[..., tuple[bytes, ssl.SSLSession | None, bool]]
ClientSet = Callable[..., PinSet]


class Source:
    """A policy source that can change."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy."""
        return self.policy


def policy_of(*pin_sets: PinSet, denied: tuple[str, ...] = ()) -> Policy:
    """Return a policy that would allow unlisted hosts."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=pin_sets, denied=tuple(map(Pin.parse, denied)))


def test_the_right_client(
    server_context: Make, serve: Serve, visit: Visit, payments: Identity
) -> None:
    """The client that the policy names gets through, and the application knows who it is."""
    application = serve(server_context())
    expected = PinnedClient(PAYMENTS, "payments", Pin.parse(payments.spki_pin))

    assert WELCOME == visit(application, payments)[0]
    assert [(expected, b"hello")] == application.saw


def _other_key(mesh: Authority) -> Identity:
    return mesh.issue(PAYMENTS, usage="both", common_name="payments")


def _other_identity(mesh: Authority) -> Identity:
    return mesh.issue("spiffe://example.org/web", usage="both", common_name="payments")


def _two_identities(mesh: Authority) -> Identity:
    return mesh.issue(PAYMENTS, "spiffe://example.org/web", usage="both", common_name="payments")


def _no_name(mesh: Authority) -> Identity:
    return mesh.issue(common_name=PAYMENTS, usage="both")


def _expired(mesh: Authority) -> Identity:
    return mesh.issue(PAYMENTS, usage="both", common_name="payments", not_after=YESTERDAY)


def _not_yet_valid(mesh: Authority) -> Identity:
    return mesh.issue(PAYMENTS, usage="both", common_name="payments", not_before=TOMORROW)


def _for_servers_only(mesh: Authority) -> Identity:
    return mesh.issue(PAYMENTS, usage="server", common_name="payments")


def _forged(mesh: Authority) -> Identity:
    return Authority.new("Mesh root").issue(PAYMENTS, usage="both", common_name="payments")


def _forged_with_the_root_sent(mesh: Authority) -> Identity:
    return _forged(mesh).with_chain(mesh.certificate)


@pytest.mark.parametrize(
    ("attacker", "outcome"),
    [
        (_other_key, Outcome.MISMATCH),
        (_other_identity, Outcome.NOT_PINNED),
        (_two_identities, Outcome.UNDECIDABLE),
        (_no_name, Outcome.NOT_PINNED),
        (_expired, Outcome.UNTRUSTED),
        (_not_yet_valid, Outcome.UNTRUSTED),
        (_for_servers_only, Outcome.UNTRUSTED),
        (_forged, Outcome.UNTRUSTED),
        (_forged_with_the_root_sent, Outcome.UNTRUSTED),
    ],
)
def test_an_attacker_gets_nothing(
    server_context: Make,
    serve: Serve,
    visit: Visit,
    mesh: Authority,
    violations: list[Violation],
    attacker: Callable[[Authority], Identity],
    outcome: Outcome,
) -> None:
    """No byte of it reaches the application, and it is told once why."""
    application = serve(server_context())

    assert b"" == visit(application, attacker(mesh))[0]
    application.close()
    assert [] == application.saw
    assert [(outcome, False, True)] == [
        (one.verdict.outcome, one.verdict.allowed, one.verdict.is_client) for one in violations
    ]
    assert violations[0].port is None


def test_no_certificate(server_context: Make, serve: Serve, visit: Visit) -> None:
    """A client that shows nothing is refused by OpenSSL."""
    application = serve(server_context())

    assert b"" == visit(application, None)[0]
    assert [] == application.saw


def test_a_denied_key(
    server_context: Make, serve: Serve, visit: Visit, payments: Identity, client_set: ClientSet
) -> None:
    """A denied key is refused although its pin matches and the set only reports."""
    reporting = client_set(mode=Mode.REPORT_ONLY)
    application = serve(server_context(policy_of(reporting, denied=(payments.spki_pin,))))

    assert b"" == visit(application, payments)[0]
    assert [] == application.saw


@pytest.mark.parametrize("mode", Mode)
def test_the_ca_of_another_trust_domain(
    server_context: Make, serve: Serve, visit: Visit, client_set: ClientSet, mode: Mode
) -> None:
    """A CA that the server trusts for one domain makes no clients of another, in no mode."""
    other = Authority.new("Other root")
    partners = client_set(
        "spiffe://partner.example", name="partners", anchors=(der(other.certificate),), leaf=()
    )
    application = serve(server_context(policy_of(client_set(mode=mode), partners)))
    friend, thief = (
        other.issue(name, usage="both", common_name="x")
        for name in ("spiffe://partner.example/api", PAYMENTS)
    )

    assert WELCOME == visit(application, friend)[0]
    assert b"" == visit(application, thief)[0]
    assert ["spiffe://partner.example/api"] == [client.identity for client, _ in application.saw]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2], ids=["1.2"])
class TestResumption:
    """Sessions by id, as TLS 1.2 has them: no certificate is sent, and OpenSSL has no path."""

    def test_a_client_may_come_back(
        self,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        client_context: Callable[..., ssl.SSLContext],
    ) -> None:
        """An accepted client resumes its session, and is known again."""
        application, client = serve(server_context()), client_context(payments)

        _, session, _ = visit(application, client)
        answer, _, is_resumed = visit(application, client, session)

        assert (WELCOME, True) == (answer, is_resumed)
        assert [PAYMENTS, PAYMENTS] == [who.identity for who, _ in application.saw]

    @pytest.mark.parametrize("change", ["denied", "unpinned", "unnamed"])
    def test_after_the_policy_changed(
        self,
        *,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        client_set: ClientSet,
        spare_pin: Pin,
        client_context: Callable[..., ssl.SSLContext],
        violations: list[Violation],
        change: str,
    ) -> None:
        """A session from before does not bring in whom the policy of now refuses."""
        source = Source(policy_of(client_set()))
        application, client = serve(server_context(source)), client_context(payments)
        _, session, _ = visit(application, client)
        assert 1 == len(application.saw)

        source.policy = {
            "denied": policy_of(client_set(), denied=(payments.spki_pin,)),
            "unpinned": policy_of(client_set(leaf=(spare_pin,))),
            "unnamed": policy_of(client_set("spiffe://example.org/web")),
        }[change]
        answer, _, is_resumed = visit(application, client, session)
        application.close()

        assert (b"", True) == (answer, is_resumed)
        assert 1 == len(application.saw)
        assert {"denied": Outcome.DENIED, "unpinned": Outcome.MISMATCH}.get(
            change, Outcome.NOT_PINNED
        ) is violations[-1].verdict.outcome

    def test_whose_path_is_not_known(
        self,
        server_context: Make,
        visit: Visit,
        mesh: Authority,
        payments: Identity,
        serve: Serve,
        client_context: Callable[..., ssl.SSLContext],
        violations: list[Violation],
    ) -> None:
        """A session that OpenSSL knows and the judge does not, as after a refusal, is refused."""
        context = server_context()
        application, client = serve(context), client_context(payments)
        _, session, _ = visit(application, client)
        context._holdfast_pinning.enforcement.judge._paths.clear()

        answer, _, is_resumed = visit(application, client, session)
        application.close()

        assert (b"", True) == (answer, is_resumed)
        assert 1 == len(application.saw)
        assert Outcome.UNDECIDABLE is violations[-1].verdict.outcome

    def test_after_the_certificate_ended(
        self,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        client_context: Callable[..., ssl.SSLContext],
        violations: list[Violation],
    ) -> None:
        """OpenSSL asks for no date when it resumes; a short certificate does not live on so."""
        context = server_context()
        application, client = serve(context), client_context(payments)
        _, session, _ = visit(application, client)
        after = payments.certificate.not_valid_after_utc + timedelta(seconds=1)
        context._holdfast_pinning.enforcement.judge._clock = lambda: after

        answer, _, is_resumed = visit(application, client, session)
        application.close()

        assert (b"", True) == (answer, is_resumed)
        assert 1 == len(application.saw)
        assert Outcome.UNTRUSTED is violations[-1].verdict.outcome


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3], ids=["1.3"])
def test_no_ticket_is_handed_out(
    server_context: Make, serve: Serve, visit: Visit, payments: Identity
) -> None:
    """A TLS 1.3 client gets nothing to resume with."""
    application = serve(server_context())
    _, session, _ = visit(application, payments)

    assert session is not None
    assert not session.has_ticket


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2], ids=["1.2"])
@pytest.mark.skipif(not getattr(ssl, "HAS_PSK", False), reason="pre-shared keys: Python 3.13")
def test_a_key_shared_beforehand(
    server_context: Make,
    serve: Serve,
    client_context: Callable[..., ssl.SSLContext],
    visit: Visit,
    violations: list[Violation],
) -> None:
    """With a pre-shared key no certificate is asked for, and the client is nobody."""
    context, client = server_context(), client_context(None)
    for one in (context, client):
        one.set_ciphers("PSK")
    context.set_psk_server_callback(lambda _: b"secret")  # type: ignore[attr-defined,unused-ignore]
    client.set_psk_client_callback(lambda _: ("me", b"secret"))  # type: ignore[attr-defined,unused-ignore]
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    application = serve(context)

    assert b"" == visit(application, client)[0]
    application.close()
    assert [] == application.saw
    assert [Outcome.UNDECIDABLE] == [one.verdict.outcome for one in violations]


def test_plain_bytes_before_the_handshake(server_context: Make, serve: Serve) -> None:
    """What is sent in the clear is no application data (CVE-2023-40217)."""
    application = serve(server_context())
    with socket.create_connection(application.address, timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while raw.recv(100):
                pass

    assert [] == application.saw


def test_an_open_connection_is_ended(
    server_context: Make,
    payments: Identity,
    client_set: ClientSet,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    """A client whose key is denied meanwhile is cut off, over a connection that was accepted."""
    source = Source(policy_of(client_set()))
    context = server_context(source)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = client_context(payments)
        raw = socket.create_connection(listener.getsockname(), timeout=5)
        accepted, _ = listener.accept()
        server = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        tls = client.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
        with tls, server:
            _shake_hands(tls, server)
            assert server.pinned_client is not None  # type: ignore[attr-defined]

            source.policy = policy_of(client_set(), denied=(payments.spki_pin,))
            with contextlib.suppress(OSError):
                assert b"" == tls.recv(1)

            assert server.pinned_client is None  # type: ignore[attr-defined]
            with pytest.raises(ssl.SSLCertVerificationError):
                server.sendall(b"secret")


def _shake_hands(client: ssl.SSLSocket, server: ssl.SSLSocket) -> None:
    other = threading.Thread(target=client.do_handshake)
    other.start()
    server.settimeout(5)
    server.do_handshake()
    other.join()
