import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.cli.probe import (
    Failure,
    Probed,
    in_plain_words,
    probe,
    unverified_context,
    verifying_context,
)
from holdfast.errors import TrustStoreError
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.server import LabServer, ServerStream
from holdfast.pins.chain import ProvenLeaf, VerifiedChain
from holdfast.pins.endpoint import Endpoint

ROOT = Authority.new("root")
ISSUER = ROOT.intermediate("issuer")
ROOT_DER = ROOT.certificate.public_bytes(Encoding.DER)
ISSUER_DER = ISSUER.certificate.public_bytes(Encoding.DER)


def _trusting(*anchors: bytes) -> ssl.SSLContext:
    return verifying_context(anchors, with_platform_store=False)


def _probe(
    port: int, context: ssl.SSLContext, host: str = "localhost", **options: object
) -> Probed:
    endpoint = Endpoint(str(options.pop("scheme", "https")), host, port)
    seconds = options.pop("timeout", 10.0)
    return asyncio.run(probe(endpoint, context, timeout=seconds, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_path_leads_from_the_leaf_to_the_anchor(version: ssl.TLSVersion) -> None:
    """A verified path holds the anchor too, which the server does not send; no data is sent."""
    identity = ISSUER.issue("localhost")
    with LabServer(identity, maximum_version=version) as server:
        seen = _probe(server.port, _trusting(ROOT_DER))
        (connection,) = server.wait_for(closed=1)

    assert isinstance(seen.chain, VerifiedChain)
    assert [identity.der, ISSUER_DER, ROOT_DER] == [link.der for link in seen.chain.certificates]
    assert seen.presented is not None
    assert [identity.der, ISSUER_DER] == [link.der for link in seen.presented.certificates]
    assert ("127.0.0.1", None, "") == (seen.address, seen.failure, seen.reason)
    assert (True, "localhost", 0, None) == (
        connection.handshake_completed,
        connection.server_name,
        connection.application_bytes,
        connection.error,
    )


def test_intermediate_is_no_anchor_of_a_shorter_path() -> None:
    """Partial chains are off: an intermediate in the store does not end a path."""
    with LabServer(ISSUER.issue("localhost")) as server:
        seen = _probe(server.port, _trusting(ISSUER_DER))

    assert Failure.UNTRUSTED is seen.failure


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("identity", "host", "reason", "code"),
    [
        (Authority.new("other").issue("localhost"), "localhost", "local issuer certificate", 20),
        (self_signed("localhost"), "localhost", "self-signed certificate", 18),
        (ISSUER.issue("localhost", not_after=YESTERDAY), "localhost", "has expired", 10),
        (ISSUER.issue("other.example"), "localhost", "mismatch, certificate is not valid for", 62),
        (ISSUER.issue("localhost"), "127.0.0.1", "mismatch, certificate is not valid for", 64),
    ],
)
def test_chain_that_does_not_verify_is_only_presented(
    identity: Identity, host: str, reason: str, code: int
) -> None:
    """What OpenSSL refuses gives no path, but the chain to look at, the reason and its number."""
    with LabServer(identity) as server:
        seen = _probe(server.port, _trusting(ROOT_DER), host)

    assert seen.chain is None
    assert seen.presented is not None
    assert identity.der == seen.presented.certificates[0].der
    assert (Failure.UNTRUSTED, code) == (seen.failure, seen.verify_code)
    assert reason in seen.reason


def test_pins_only_hosts_prove_their_leaf() -> None:
    """Without verification the leaf comes back as proven, whatever it says, and nothing more."""
    identity = self_signed("somewhere.else")
    with LabServer(identity) as server:
        seen = _probe(server.port, unverified_context())

    assert isinstance(seen.chain, ProvenLeaf)
    assert identity.der == seen.chain.certificate.der


def test_platform_store_is_trusted_on_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The machine's own store verifies only where it was asked for."""
    store = tmp_path_factory.mktemp("store") / "ca.pem"
    store.write_text(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    with LabServer(ISSUER.issue("localhost")) as server:
        with_store = _probe(server.port, verifying_context((), with_platform_store=True))
        without = _probe(server.port, verifying_context((), with_platform_store=False))

    assert isinstance(with_store.chain, VerifiedChain)
    assert Failure.UNTRUSTED is without.failure


def test_smtp_starts_tls() -> None:
    """An smtp endpoint is asked to start TLS first."""
    with LabServer(ISSUER.issue("localhost"), starttls="smtp") as server:
        seen = _probe(server.port, _trusting(ROOT_DER), scheme="smtp")
        (connection,) = server.wait_for(closed=1)

    assert isinstance(seen.chain, VerifiedChain)
    assert ("EHLO localhost", "STARTTLS") == connection.requests


def test_ipv6_endpoint() -> None:
    """An IPv6 literal is connected to, and is the name that is checked."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with LabServer(ISSUER.issue("::1"), name="::1", address="::1") as server:
        seen = _probe(server.port, _trusting(ROOT_DER), "::1")

    assert isinstance(seen.chain, VerifiedChain)
    assert "::1" == seen.address


def test_address_replaces_resolution() -> None:
    """With an address the name is not looked up, and still drives SNI and the name check."""
    with LabServer(ISSUER.issue("nowhere.invalid")) as server:
        seen = _probe(server.port, _trusting(ROOT_DER), "nowhere.invalid", address="127.0.0.1")
        (connection,) = server.wait_for(closed=1)

    assert isinstance(seen.chain, VerifiedChain)
    assert "nowhere.invalid" == connection.server_name


def test_deadline_covers_a_silent_server() -> None:
    """A server that accepts and says nothing costs the deadline, not more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seen = _probe(silent.getsockname()[1], _trusting(ROOT_DER), timeout=0.2)

    assert (Failure.UNREACHABLE, "no answer within 0.2 s") == (seen.failure, seen.reason)


def test_closed_port_is_unreachable() -> None:
    """A refused connection is told in plain words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    seen = _probe(port, _trusting(ROOT_DER), "127.0.0.1")

    assert (Failure.UNREACHABLE, "connection refused") == (seen.failure, seen.reason)


def test_server_without_tls_is_unreachable() -> None:
    """What answers in the clear shows no certificate, so nothing is known of it."""

    async def greet(stream: ServerStream) -> None:
        await stream.write(b"220 in the clear\r\n")

    with LabServer(None, dialogue=greet) as server:
        seen = _probe(server.port, _trusting(ROOT_DER))

    assert Failure.UNREACHABLE is seen.failure
    assert seen.reason.startswith("no TLS handshake: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('::1', 1)"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (OSError("nothing special"), "nothing special"),
    ],
)
def test_errors_are_told_in_plain_words(error: OSError, words: str) -> None:
    """Neither numbers nor places in C sources are shown."""
    assert words == in_plain_words(error)


@pytest.mark.threat("T46")
def test_endless_handshake_is_given_up() -> None:
    """A server that never comes to the end of its handshake is left before the deadline."""
    # TLS 1.2 clients pass over HelloRequests, however many there are (RFC 5246 section 7.4.1.1).
    requests = bytes.fromhex("160303000400000000") * 100

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(requests)

    with socket.create_server(("127.0.0.1", 0)) as endless:
        server = Thread(target=serve, args=(endless,))
        server.start()
        seen = _probe(endless.getsockname()[1], _trusting(ROOT_DER), timeout=30.0)
        server.join()

    assert Failure.UNREACHABLE is seen.failure
    assert "no TLS handshake: the server does not come to its end" == seen.reason


def test_unreadable_anchor_is_named() -> None:
    """An anchor that OpenSSL cannot read is an error with its place, behind others too."""
    at = ROOT_DER.index(bytes.fromhex("300a06082a8648ce3d0403"))  # signature algorithm
    broken = ROOT_DER[: at + 2] + b"\x05" + ROOT_DER[at + 3 :]

    with pytest.raises(TrustStoreError, match="OpenSSL cannot read trust anchor 1"):
        _trusting(ISSUER_DER, broken)


def test_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first address refuses, the next one is connected to."""

    def two(*_arguments: object, **_options: object) -> list[object]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with LabServer(ISSUER.issue("localhost")) as server:
        seen = _probe(server.port, _trusting(ROOT_DER))

    assert "127.0.0.1" == seen.address
