import contextlib
import gc
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.server_connections import PinnedServerObject, PinnedServerSocket
from holdfast.enforcement.server_context import PinnedServerContext
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

PAYMENTS = "spiffe://example.org/payments"
Make = Callable[..., PinnedServerContext]
Serve = Callable[[ssl.SSLContext], Any]
Visit = Callable[..., tuple[bytes, ssl.SSLSession | None, bool]]


class Pair:
    """A client and a server over BIOs, one step at a time."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        to_server, to_client, from_server, from_client = (ssl.MemoryBIO() for _ in range(4))
        self._ways = (from_client, to_server), (from_server, to_client)
        self.server: Any = server.wrap_bio(to_server, from_server, server_side=True)
        self.client = client.wrap_bio(to_client, from_client, server_hostname="localhost")

    def carry(self) -> None:
        """Hand on what was sent."""
        for source, target in self._ways:
            target.write(source.read())

    def shake_hands(self) -> None:
        """Do both handshakes; what one of them raises comes out."""
        for _ in range(4):
            for end in (self.client, self.server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                self.carry()


@pytest.fixture
def pair(
    server_context: Make, client_context: Callable[..., ssl.SSLContext], payments: Identity
) -> Pair:
    """The right client at a pinned server."""
    return Pair(server_context(), client_context(payments))


def test_who_was_accepted(pair: Pair) -> None:
    """Nobody is known before the verdict, and the client afterwards."""
    assert isinstance(pair.server, PinnedServerObject)
    assert not pair.server.pinned_client

    pair.shake_hands()

    assert PAYMENTS == getattr(pair.server.pinned_client, "identity", None)


def test_a_client_s_own_connection_has_no_client(pinned: Callable[..., PinningContext]) -> None:
    """The other end of a pinned client is a server."""
    tls: Any = pinned().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

    assert tls.pinned_client is None


def test_a_second_certificate_is_not_asked_for(pair: Pair) -> None:
    """Neither before nor after the handshake."""
    with pytest.raises(PinnedContextError, match="in the handshake"):
        pair.server.verify_client_post_handshake()
    pair.shake_hands()
    with pytest.raises(PinnedContextError, match="in the handshake"):
        pair.server.verify_client_post_handshake()


def test_nothing_is_written_before_the_verdict(pair: Pair) -> None:
    """A server that writes first sends its handshake, and no data."""
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.write(b"banner")
    pair.shake_hands()

    with pytest.raises(ssl.SSLWantReadError):
        pair.client.read()


def test_accept_of_a_listening_socket(
    server_context: Make, client_context: Callable[..., ssl.SSLContext], payments: Identity
) -> None:
    """As `http.server` does it: the listening socket is wrapped, and what it accepts is pinned."""
    with (
        server_context().wrap_socket(
            socket.create_server(("127.0.0.1", 0)), server_side=True, do_handshake_on_connect=False
        ) as listener,
        socket.create_connection(listener.getsockname(), timeout=5) as raw,
    ):
        connection: Any
        connection, _ = listener.accept()
        tls = client_context(payments).wrap_socket(
            raw, server_hostname="localhost", do_handshake_on_connect=False
        )
        with connection, tls:
            thread = threading.Thread(target=lambda: tls.sendall(b"hello"))
            thread.start()
            assert isinstance(connection, PinnedServerSocket)
            assert not connection.pinned_client
            assert b"hello" == connection.recv(5)
            thread.join()

            assert PAYMENTS == getattr(connection.pinned_client, "identity", None)


def test_the_policy_of_now_says_who_it_is(
    server_context: Make,
    client_context: Callable[..., ssl.SSLContext],
    payments: Identity,
    client_policy: Policy,
    client_set: Callable[..., PinSet],
) -> None:
    """A client that a new policy puts into another set is in that one, also while connected."""

    class Source:
        policy = client_policy

        def current(self) -> Policy:
            return self.policy

    source = Source()
    pair = Pair(server_context(source), client_context(payments))
    pair.shake_hands()
    renamed = client_set("spiffe://example.org", name="everybody")
    source.policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(renamed,))

    assert pair.server._holdfast_judge_again()
    assert "everybody" == pair.server.pinned_client.pin_set


class TestAnotherContext:
    """`sni_callback`, by which one port serves several names."""

    def test_its_policy_counts(
        self,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        client_set: Callable[..., PinSet],
        spare_pin: Pin,
        violations: list[Violation],
    ) -> None:
        """The client is judged by the context that is put in, not by the one that it came to."""
        other = server_context(
            Policy(unlisted=Unlisted.ALLOW, pin_sets=(client_set(leaf=(spare_pin,)),))
        )
        first = server_context()

        def switch(connection: ssl.SSLObject, name: str, _: ssl.SSLContext) -> None:
            if name == "localhost":
                connection.context = other

        application = serve(first)
        assert b"welcome" == visit(application, payments)[0]

        first.sni_callback = switch
        assert b"" == visit(application, payments)[0]
        application.close()
        assert 1 == len(application.saw)
        assert [Outcome.MISMATCH] == [one.verdict.outcome for one in violations]

    def test_its_anchors_count(
        self,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        client_set: Callable[..., PinSet],
    ) -> None:
        """A client of the other trust domain comes in through its name alone."""
        root = Authority.new("Partner root")
        partner = root.issue("spiffe://partner.example/api", usage="both", common_name="x")
        partners = client_set("spiffe://partner.example", anchors=(der(root.certificate),), leaf=())
        first = server_context()
        contexts = [server_context(Policy(unlisted=Unlisted.REFUSE, pin_sets=(partners,)))]

        def switch(connection: ssl.SSLObject, _: str, __: ssl.SSLContext) -> None:
            connection.context = contexts[0]
            gc.collect()

        first.sni_callback = switch
        application = serve(first)

        assert b"welcome" == visit(application, partner)[0]
        assert b"" == visit(application, payments)[0]
        application.close()
        assert ["spiffe://partner.example/api"] == [who.identity for who, _ in application.saw]

    def test_the_first_one_lives_on(
        self,
        server_context: Make,
        client_context: Callable[..., ssl.SSLContext],
        payments: Identity,
    ) -> None:
        """OpenSSL still works with the context whose callback it is in (CVE-2026-19445)."""
        contexts = [server_context(), server_context()]
        first = weakref.ref(contexts[0])

        def switch(connection: ssl.SSLObject, _: str, __: ssl.SSLContext) -> None:
            connection.context = contexts[1]

        contexts[0].sni_callback = switch
        pair = Pair(contexts[0], client_context(payments))
        contexts[0] = contexts[1]
        pair.shake_hands()
        gc.collect()

        assert contexts[1] is pair.server.context
        assert first() is not None

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_stock_context_is_refused(
        self,
        server_context: Make,
        serve: Serve,
        visit: Visit,
        payments: Identity,
        identity: Identity,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """One that does not pin is not put in: the handshake fails, and the reason is told."""
        told: list[str] = []
        monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(str(args.exc_value)))
        first = server_context()
        first.sni_callback = lambda connection, *_: setattr(
            connection, "context", identity.server_context()
        )
        application = serve(first)

        assert b"" == visit(application, payments)[0]
        application.close()
        assert [] == application.saw
        assert 1 == len(told)
        assert told[0].startswith("only a pinned server context")

    def test_only_in_the_handshake(self, pair: Pair, server_context: Make) -> None:
        """An accepted client is not judged by yet another policy."""
        pair.shake_hands()

        with pytest.raises(PinnedContextError, match="in the handshake"):
            pair.server.context = server_context()
