"""Attempts to switch verification off, in the open and underneath."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy

NOTHING = (0, 0)

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Connect = Callable[..., ssl.SSLSocket]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Received = Callable[[LabServer], tuple[int, int]]


def _name_check_off(context: ssl.SSLContext) -> None:
    ssl.SSLContext.check_hostname.__set__(context, False)  # type: ignore[attr-defined]


def _verification_off(context: ssl.SSLContext) -> None:
    _name_check_off(context)
    ssl.SSLContext.verify_mode.__set__(context, ssl.CERT_NONE)  # type: ignore[attr-defined]


def _verification_optional(context: ssl.SSLContext) -> None:
    ssl.SSLContext.verify_mode.__set__(context, ssl.CERT_OPTIONAL)  # type: ignore[attr-defined]


def _renegotiation_on(context: ssl.SSLContext) -> None:
    ssl.SSLContext.options.__set__(context, ssl.OP_ALL)  # type: ignore[attr-defined]


UNDERNEATH = [_name_check_off, _verification_off, _verification_optional, _renegotiation_on]
underneath = pytest.mark.parametrize("change", UNDERNEATH)


@pytest.mark.threat("T30")
def test_verification_cannot_be_switched_off(pinned: Pinned) -> None:
    """Assigning a weaker setting is an error, and assigning the sealed one is not."""
    context = pinned()

    for mode in (ssl.CERT_NONE, ssl.CERT_OPTIONAL):
        with pytest.raises(PinnedContextError, match="verif"):
            context.verify_mode = mode
    with pytest.raises(PinnedContextError, match="host name"):
        context.check_hostname = False
    context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
    context.options = ssl.OP_ALL

    assert ssl.CERT_REQUIRED is context.verify_mode
    assert context.check_hostname
    assert ssl.OP_NO_RENEGOTIATION in context.options


@pytest.mark.threat("T03")
@underneath
def test_what_was_switched_off_underneath_is_noticed(
    start: Start,
    issuing: Authority,
    pinned: Pinned,
    policy_for: Callable[..., Policy],
    exchange: Exchange,
    change: Callable[[ssl.SSLContext], None],
) -> None:
    """With a CA pinned, a certificate for another name would do: such a context is refused."""
    context = pinned(policy_for(ca=issuing.spki_pin))
    change(context)
    server = start(issuing.issue("elsewhere.example"))

    with pytest.raises((PinnedContextError, PinViolationError)):
        exchange(server, context)

    assert 0 == server.application_bytes


@underneath
def test_what_was_switched_off_before_connect_is_noticed(
    start: Start,
    identity: Identity,
    pinned: Pinned,
    change: Callable[[ssl.SSLContext], None],
) -> None:
    """OpenSSL reads the settings when an unconnected socket connects, not when it is wrapped."""
    context, server = pinned(), start(identity)
    with context.wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        change(context)
        with pytest.raises(PinnedContextError, match="switched off"):
            tls.connect((server.address, server.port))

    assert () == server.connections


def test_anonymous_ciphers_bring_no_certificate_and_are_refused(
    impostor: Identity, pinned: Pinned, connect: Connect, received: Received
) -> None:
    """TLS 1.2 without certificates (aNULL) leaves nothing to judge."""
    ciphers = "aNULL:@SECLEVEL=0"
    context = pinned()
    context.set_ciphers(ciphers)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    class Anonymous(LabServer):
        def start(self) -> None:
            self._contexts[0].set_ciphers(ciphers)
            super().start()

    with Anonymous(impostor, maximum_version=ssl.TLSVersion.TLSv1_2) as server:
        with pytest.raises(PinViolationError, match="undecidable"):
            connect(server, context)

        assert NOTHING == received(server)


@pytest.mark.parametrize("name", [None, ""])
def test_the_name_cannot_be_taken_away(
    start: Start, impostor: Identity, pinned: Pinned, name: str | None
) -> None:
    """Without its name an unconnected socket does not connect."""
    server = start(impostor)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        tls.server_hostname = name
        with pytest.raises((PinnedContextError, ValueError)):
            tls.connect((server.address, server.port))

    assert () == server.connections


@pytest.mark.parametrize("name", ["LOCALHOST", "LocalHost"])
def test_another_spelling_of_the_name_has_its_pins(
    start: Start, impostor: Identity, pinned: Pinned, received: Received, name: str
) -> None:
    """What OpenSSL was given is looked up in canonical form, however it got there."""
    server = start(impostor)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        tls.server_hostname = name
        with pytest.raises(PinViolationError):
            tls.connect((server.address, server.port))

    assert NOTHING == received(server)


def test_the_stock_wrap_methods_lead_to_the_same_gate(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    tcp: Callable[[LabServer], socket.socket],
    received: Received,
) -> None:
    """Python's own wrap_socket(), called past ours, gives a gated socket with canonical look-up."""
    server = start(impostor)

    with pytest.raises(PinViolationError):
        ssl.SSLContext.wrap_socket(pinned(), tcp(server), server_hostname="LOCALHOST")

    assert NOTHING == received(server)


def test_the_context_of_a_connection_cannot_be_replaced(
    start: Start, impostor: Identity, pinned: Pinned, connect: Connect, received: Received
) -> None:
    """Another context would bring another trust store, or no pins."""
    server, other = start(impostor), ssl.create_default_context()
    tls: Any = connect(server, pinned(), do_handshake_on_connect=False)

    for holder in (tls, tls._sslobj):
        with pytest.raises(PinnedContextError):
            holder.context = other
    tls._context = other
    with pytest.raises(PinViolationError):
        tls.sendall(b"secret")

    assert NOTHING == received(server)


def test_the_context_of_an_accepted_connection_cannot_be_replaced(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """Nor does it change afterwards what a connection says that it belongs to."""
    context = pinned()
    tls = connect(start(identity), context)

    with pytest.raises(PinnedContextError):
        tls.context = pinned()
    assert context is tls.context


def test_a_context_replaced_underneath_is_noticed(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect, received: Received
) -> None:
    """Even past the gate, OpenSSL's object must have the context that it was born with."""
    server = start(identity)
    tls = connect(server, pinned(), do_handshake_on_connect=False)
    vars(tls)["_sslobj"].context = pinned()

    with pytest.raises(PinViolationError, match="replaced"):
        tls.sendall(b"secret")

    assert NOTHING == received(server)


def test_the_context_of_an_unconnected_socket_cannot_be_replaced(
    start: Start, impostor: Identity, pinned: Pinned, anchors: Path
) -> None:
    """Nor does it help to do so before there is anything to replace."""
    server = start(impostor)
    with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
        tls._context = ssl.create_default_context(cafile=anchors)  # type: ignore[attr-defined]
        with pytest.raises(PinnedContextError, match="not made by a pinned context"):
            tls.connect((server.address, server.port))

    assert () == server.connections


def test_the_context_of_a_bio_object_cannot_be_replaced(pinned: Pinned) -> None:
    """The same over BIOs."""
    tls = pinned().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

    with pytest.raises(PinnedContextError):
        tls.context = ssl.create_default_context()


@pytest.mark.parametrize("name", ["do_handshake", "get_verified_chain", "getpeercert", "version"])
def test_what_stands_on_the_object_does_not_count(
    start: Start,
    identity: Identity,
    impostor: Identity,
    pinned: Pinned,
    connect: Connect,
    received: Received,
    name: str,
) -> None:
    """A public name set on the socket itself does not stand in for the check."""
    server = start(impostor)
    tls = connect(server, pinned(), do_handshake_on_connect=False)
    setattr(tls, name, lambda *_: [identity.der])

    with pytest.raises(PinViolationError):
        tls.sendall(b"secret")

    assert NOTHING == received(server)
