import copy
import pickle
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.errors import TrustStoreError
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Violation

NOTHING = (0, 0)

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Received = Callable[[LabServer], tuple[int, int]]
PolicyFor = Callable[..., Policy]


def _wrap_bio(context: ssl.SSLContext, name: object) -> ssl.SSLObject:
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)  # type: ignore[arg-type]


def test_it_cannot_be_copied_or_pickled(pinned: Pinned) -> None:
    """A copy would be a context without pins."""
    context = pinned()

    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            duplicate(context)


def test_it_takes_a_policy_source_only(anchors: Path) -> None:
    """What is no policy is refused when the context is made, not in the first handshake."""
    for source in (None, "pins.toml", {"localhost": "sha256/..."}):
        with pytest.raises(TypeError, match="load_policy"):
            PinningContext(source, public_anchors=anchors)  # type: ignore[arg-type]


def test_an_empty_sink_is_a_sink(
    start: Start, impostor: Identity, policy: Policy, anchors: Path, exchange: Exchange
) -> None:
    """A sink that is falsy, such as an empty list of its own kind, gets the reports."""

    class Reports(list[Violation]):
        def report(self, violation: Violation) -> None:
            self.append(violation)

    reports = Reports()
    with pytest.raises(PinViolationError):
        exchange(start(impostor), PinningContext(policy, sink=reports, public_anchors=anchors))

    assert 1 == len(reports)


def test_only_the_named_anchors_are_trusted(
    start: Start,
    identity: Identity,
    policy: Policy,
    exchange: Exchange,
    received: Received,
    tmp_path: Path,
) -> None:
    """With anchors of its own a context does not trust the platform's too."""
    other = tmp_path / "other.pem"
    other.write_text(Authority.new("Other CA").pem, "ascii")
    context, server = PinningContext(policy, public_anchors=other), start(identity)

    with pytest.raises(PinViolationError):
        exchange(server, context)

    assert 1 == context.cert_store_stats()["x509_ca"]
    assert NOTHING == received(server)


def test_an_empty_trust_store_is_an_error(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context that can trust nobody says so when it is made."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    with pytest.raises(TrustStoreError, match="empty"):
        PinningContext(policy)
    with pytest.raises(TrustStoreError):
        PinningContext(policy, public_anchors=empty)


def test_a_directory_of_anchors_is_a_trust_store(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL reads SSL_CERT_DIR when it needs an issuer; until then no count shows it."""
    (tmp_path / "0a775a30.0").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert 0 == PinningContext(policy).cert_store_stats()["x509_ca"]


def test_alpn_and_versions_are_set_as_ever(
    identity: Identity, pinned: Pinned, connect: Callable[..., ssl.SSLSocket]
) -> None:
    """What does not weaken verification is the application's to set."""
    context = pinned()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_TRUSTED_FIRST
    with LabServer(identity, alpn=["h2"]) as server:
        tls = connect(server, context)

        assert "h2" == tls.selected_alpn_protocol()
        assert "TLSv1.2" == tls.version()
        assert context is tls.context


def test_paths_are_verified_as_strictly_as_python_does(pinned: Pinned) -> None:
    """The strict flag is that of the running Python; a path always ends in a root."""
    flags = pinned().verify_flags

    assert ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT == (
        flags & ssl.VERIFY_X509_STRICT
    )
    assert not flags & ssl.VERIFY_X509_PARTIAL_CHAIN


_INJECTED = """\
import socket, ssl, sys
if sys.argv[1] == "before":
    import truststore; truststore.inject_into_ssl()
import holdfast
policy = holdfast.load_policy(sys.argv[2])
if sys.argv[1] == "after":
    import truststore; truststore.inject_into_ssl()
context = holdfast.PinningContext(policy, public_anchors=sys.argv[3])
context.options |= ssl.OP_NO_TICKET
context.minimum_version = ssl.TLSVersion.TLSv1_2
context.verify_flags |= ssl.VERIFY_X509_TRUSTED_FIRST
for port in sys.argv[4:]:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
                print(tls.recv(12).decode())
        except holdfast.PinViolationError as error:
            print(error.violation.verdict.outcome)
"""


@pytest.mark.threat("T29")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_truststore_does_not_take_the_pins_away(
    *,
    start: Start,
    identity: Identity,
    impostor: Identity,
    policy: Policy,
    anchors: Path,
    received: Received,
    tmp_path: Path,
    moment: str,
) -> None:
    """After truststore.inject_into_ssl() the base is still Python's own context, and checks."""
    server, rogue = start(identity), start(impostor)
    (pin_set,) = policy.pin_sets
    pins = tmp_path / "pins.toml"
    pins.write_text(
        '[holdfast]\nformat = 1\nunlisted = "allow"\n'
        '[pin_set.lab]\nhosts = ["localhost"]\nmode = "enforce"\n'
        f'leaf = ["{pin_set.leaf[0]}"]\nbackup = ["{pin_set.backup[0]}"]\n',
        "ascii",
    )
    ports = [str(server.port), str(rogue.port)]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", _INJECTED, moment, pins, anchors, *ports],
        capture_output=True,
        check=False,
        text=True,
        timeout=15,
    )

    assert ["HTTP/1.1 200", "mismatch"] == ended.stdout.splitlines(), ended.stderr
    assert NOTHING == received(rogue)


def test_a_self_signed_anchor_can_be_the_server(
    policy_for: PolicyFor, connect: Callable[..., ssl.SSLSocket], tmp_path: Path
) -> None:
    """A server whose own certificate is the anchor has a path of one, which is judged."""
    alone = self_signed("localhost")
    anchor = tmp_path / "alone.pem"
    anchor.write_text(alone.chain_pem, "ascii")
    context = PinningContext(policy_for(leaf=alone.spki_pin), public_anchors=anchor)
    with LabServer(alone) as server:
        assert alone.der == connect(server, context).getpeercert(binary_form=True)
