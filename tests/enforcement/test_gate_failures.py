"""What goes wrong around the check: the network, the clock, the source, the sink, the user."""

import logging
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.enforcement import gate
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.verified_path import PathReader
from holdfast.lab.authorities import Authority, Identity, PrivateKey, self_signed
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Outcome, Violation

NOTHING = (0, 0)

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Connect = Callable[..., ssl.SSLSocket]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Received = Callable[[LabServer], tuple[int, int]]
PolicyFor = Callable[..., Policy]


@pytest.fixture(params=["expired", "other name", "self-signed", "unknown CA"])
def untrusted(request: pytest.FixtureRequest, honest: Authority) -> tuple[Identity, Observed]:
    """An identity that does not verify, and what is observed of it."""
    match request.param:
        case "expired":
            past = datetime.now(UTC) - timedelta(days=1)
            names = ("localhost", "other.example")
            return honest.issue(*names, not_after=past), Observed.CLOCK
        case "other name":
            return honest.issue("elsewhere.example"), Observed.WRONG_HOST
        case "self-signed":
            return self_signed("localhost", "other.example"), Observed.SELF_SIGNED
    unknown = Authority.new("Unknown CA")
    return unknown.issue("localhost", "other.example"), Observed.UNKNOWN


def test_an_untrusted_chain_of_a_pinned_host_is_a_violation(
    start: Start,
    untrusted: tuple[Identity, Observed],
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """What OpenSSL refuses on a pinned host is explained and reported, with the stock cause."""
    shown, observed = untrusted
    server = start(shown)

    with pytest.raises(PinViolationError) as refusal:
        exchange(server, pinned())

    assert [refusal.value.violation] == violations
    assert Outcome.UNTRUSTED is violations[0].verdict.outcome
    assert observed is violations[0].observed
    assert type(refusal.value.__cause__) is ssl.SSLCertVerificationError
    assert NOTHING == received(server)


_VERSION_3 = b"\xa0\x03\x02\x01\x02"


def _of_version_8(signed: bytes) -> bytes:
    """Give a certificate a version that does not exist."""
    return signed.replace(_VERSION_3, _VERSION_3[:-1] + b"\x07", 1)


def _of_negative_serial(signed: bytes) -> bytes:
    """Give it a serial number that is negative (RFC 5280 section 4.1.2.2)."""
    at = signed.index(_VERSION_3) + len(_VERSION_3) + 2
    # Not 0xFF, which DER forbids where the next bit is set too.
    return signed[:at] + bytes([signed[at] & 0x3F | 0x80]) + signed[at + 1 :]


def _odd_identity(
    authority: Authority, key: PrivateKey | None, change: Callable[[bytes], bytes]
) -> Identity:
    """Return an identity whose certificate is changed and signed again."""
    regular = authority.issue("localhost", key=key)
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    signed = change(regular.certificate.tbs_certificate_bytes)
    signature = b"\0" + authority.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    body = signed + algorithm + b"\3" + bytes([len(signature)]) + signature
    odd = b"\x30\x82" + len(body).to_bytes(2) + body

    class Odd(Identity):
        @property
        def chain_pem(self) -> str:
            return ssl.DER_cert_to_PEM_cert(odd)

    return Odd(regular.key, regular.chain)


@pytest.mark.threat("T41")
@pytest.mark.parametrize(
    ("change", "outcomes"),
    [
        (_of_version_8, {"pinned": Outcome.UNDECIDABLE, "other": Outcome.UNDECIDABLE}),
        (_of_negative_serial, {"pinned": None, "other": Outcome.MISMATCH}),
    ],
    ids=["version 8", "negative serial"],
)
@pytest.mark.parametrize("shown", ["pinned", "other"])
def test_what_openssl_takes_and_parsers_do_not(
    *,
    start: Start,
    honest: Authority,
    identity: Identity,
    anchors: Path,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
    change: Callable[[bytes], bytes],
    outcomes: dict[str, Outcome | None],
    shown: str,
) -> None:
    """A certificate that cannot be read is refused and reported, and one that can is judged."""
    key = identity.key if shown == "pinned" else None
    server = start(_odd_identity(honest, key, change))
    taken, _ = exchange(server, ssl.create_default_context(cafile=anchors))
    assert taken.startswith(b"HTTP/1.1 200 OK")
    before = server.application_bytes

    expected = outcomes[shown]
    if expected is None:
        exchange(server, pinned())
    else:
        with pytest.raises(PinViolationError):
            exchange(server, pinned())
        assert (before, 0) == received(server)
    assert [expected] * bool(expected) == [one.verdict.outcome for one in violations]


@pytest.mark.threat("T44")
def test_a_maze_of_issuers_ends_in_a_refusal(
    *,
    start: Start,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """Ninety certificates of two CAs that issue each other lead in circles and nowhere."""
    one = Authority.new("One")
    other = Authority.new("Other", key=one.key)
    maze = [x.cross_sign(y) for x, y in [(other, one), (one, other)] * 45]
    server = start(one.issue("localhost").with_chain(*[ca.certificate for ca in maze]))

    with pytest.raises(PinViolationError):
        exchange(server, pinned())

    assert [Outcome.UNTRUSTED] == [one.verdict.outcome for one in violations]
    assert NOTHING == received(server)


def test_an_untrusted_chain_of_an_unlisted_host_is_the_stock_error(
    start: Start,
    untrusted: tuple[Identity, Observed],
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """Hosts without pins fail as they did before."""
    shown, _ = untrusted

    with pytest.raises(ssl.SSLCertVerificationError) as failure:
        exchange(start(shown), pinned(), "other.example")

    assert type(failure.value) is ssl.SSLCertVerificationError
    assert [] == violations


def test_a_slow_server_is_a_timeout(pinned: Pinned, violations: list[Violation]) -> None:
    """A handshake that takes too long is a timeout, no violation, and no plain text follows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pinned().wrap_socket(socket.socket(), server_hostname="localhost") as tls:
            tls.settimeout(0.05)
            with pytest.raises(TimeoutError):
                tls.connect(silent.getsockname())
            for send in (tls.send, tls.sendall, tls.write):
                with pytest.raises((OSError, ValueError)):
                    send(b"secret")
        accepted, _ = silent.accept()
        with accepted:
            received = b"".join(iter(lambda: accepted.recv(65536), b""))

    assert b"secret" not in received
    assert received.startswith(b"\x16\x03\x01")  # the ClientHello, and it alone
    assert int.from_bytes(received[3:5]) + 5 == len(received)
    assert [] == violations


@pytest.mark.threat("T47")
@pytest.mark.parametrize(
    ("linger", "expected"),
    [
        (None, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError)),
        (struct.pack("ii", 1, 0), (ConnectionResetError, BrokenPipeError)),
    ],
    ids=["end", "reset"],
)
def test_a_connection_that_breaks_is_a_network_error(
    pinned: Pinned,
    violations: list[Violation],
    linger: bytes | None,
    expected: tuple[type[OSError], ...],
) -> None:
    """A peer that hangs up in mid-handshake brings the stock error and no report."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:

        def hang_up() -> None:
            accepted, _ = listener.accept()
            accepted.recv(65536)
            if linger is not None:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            accepted.close()

        over = thread.submit(hang_up)
        plain = socket.create_connection(listener.getsockname(), timeout=5)
        with plain, pytest.raises(expected) as failure:
            pinned().wrap_socket(plain, server_hostname="localhost")
        over.result(5)

    assert not isinstance(failure.value, PinViolationError)
    assert [] == violations


class _Failing:
    """A source that works until it is told to fail."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy | None = policy

    def current(self) -> Policy:
        """Return the policy, or fail."""
        if self.policy is None:
            raise RuntimeError("the disk is on fire")
        return self.policy


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_a_failing_source_refuses(
    start: Start,
    identity: Identity,
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
    name: str,
) -> None:
    """When nobody can say what the policy is, nothing is connected, and that is reported."""
    source = _Failing(policy)
    context, server = pinned(source), start(identity)
    source.policy = None

    with pytest.raises(PinViolationError, match="the disk is on fire") as refusal:
        exchange(server, context, name)

    assert Outcome.UNDECIDABLE is refusal.value.violation.verdict.outcome
    assert [refusal.value.violation] == violations
    assert 0 == server.application_bytes


def test_a_failing_sink_changes_nothing(
    start: Start,
    identity: Identity,
    impostor: Identity,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A sink that raises neither lets an impostor through nor locks anyone out."""

    class Broken:
        def report(self, violation: Violation) -> None:
            raise OSError("no space left on device")

    context, rogue = pinned(sink=Broken()), start(impostor)

    with (
        caplog.at_level(logging.CRITICAL, "holdfast.enforcement"),
        pytest.raises(PinViolationError),
    ):
        exchange(rogue, context)
    answer, _ = exchange(start(identity), context)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert NOTHING == received(rogue)


@pytest.mark.parametrize(("place", "stage"), [(PathReader, "read"), (gate, "presented_chain")])
def test_an_interrupt_in_the_check_leaves_no_way_through(
    start: Start,
    impostor: Identity,
    pinned: Pinned,
    received: Received,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    stage: str,
) -> None:
    """Ctrl-C in the middle of the check ends the connection for good."""
    server = start(impostor)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pinned().wrap_socket(
        socket.socket(), server_hostname="localhost", do_handshake_on_connect=False
    ) as tls:
        tls.connect((server.address, server.port))
        monkeypatch.setattr(place, stage, interrupted)
        with pytest.raises(KeyboardInterrupt):
            tls.do_handshake()
        monkeypatch.undo()
        with pytest.raises(PinViolationError):
            tls.sendall(b"secret")

    assert NOTHING == received(server)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt: whoever is started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_real_interrupt_leaves_no_way_through(
    start: Start, impostor: Identity, policy: Policy, pinned: Pinned, received: Received
) -> None:
    """The same with a signal that arrives while the policy is asked for."""
    server = start(impostor)

    class Interrupting:
        calls = 0

        def current(self) -> Policy:
            self.calls += 1
            if self.calls > 2:  # made, connected; now in the check
                signal.raise_signal(signal.SIGINT)
            return policy

    with pinned(Interrupting()).wrap_socket(
        socket.socket(), server_hostname="localhost", do_handshake_on_connect=False
    ) as tls:
        tls.connect((server.address, server.port))
        with pytest.raises(KeyboardInterrupt):
            tls.sendall(b"secret")
        with pytest.raises(PinViolationError):
            tls.sendall(b"secret")

    assert NOTHING == received(server)


@pytest.mark.threat("T49")
def test_threads_see_the_old_policy_or_the_new(
    start: Start,
    identity: Identity,
    impostor: Identity,
    policy_for: PolicyFor,
    pinned: Pinned,
) -> None:
    """While policies are swapped, each of 32 threads is judged by one of them, never by a mix."""
    policies = [policy_for(), policy_for(leaf=impostor.spki_pin)]
    pins = [policy.pin_sets[0].leaf[0] for policy in policies]

    class Swapping:
        turn = 0

        def current(self) -> Policy:
            self.turn += 1
            return policies[self.turn % 2]

    server, context = start(identity), pinned(Swapping())

    def handshake(_: int) -> Violation | None:
        plain = socket.create_connection((server.address, server.port), timeout=10)
        try:
            with context.wrap_socket(plain, server_hostname="localhost"):
                return None
        except PinViolationError as refusal:
            return refusal.violation

    with ThreadPoolExecutor(32) as threads:
        results = list(threads.map(handshake, range(96)))

    refused = [violation for violation in results if violation is not None]
    assert 0 < len(refused) < len(results)
    for violation in refused:
        assert violation.verdict.pin_set is policies[1].pin_sets[0]
        assert pins[1] in violation.verdict.pin_set.leaf


def _answer_to_renegotiation(identity: Identity, context: ssl.SSLContext, directory: Path) -> bytes:
    """Connect to an `openssl s_server` that wants to renegotiate; return what it had to read."""
    chain = str(directory / "server.pem")
    Path(chain).write_text(identity.key_pem + identity.chain_pem, "ascii")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    options = ["-tls1_2", "-state", "-port", str(port), "-cert", chain, "-cert_chain", chain]
    with (
        subprocess.Popen(
            ["openssl", "s_server", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        ) as server,
        ThreadPoolExecutor(1) as thread,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            _read_until(b"ACCEPT", server.stdout)
            plain = socket.create_connection(("127.0.0.1", port), timeout=10)
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                _read_until(b"CIPHER is", server.stdout)
                answer = thread.submit(tls.recv, 1)
                server.stdin.write(b"R\n")
                read = _read_until(b"read client hello|no renegotiation", server.stdout)
                server.kill()
                answer.exception(10)
        finally:
            server.kill()
    return read


def _read_until(pattern: bytes, stream: IO[bytes]) -> bytes:
    seen = b""
    while not (found := re.search(pattern, seen)):
        more = stream.read(4096)
        assert more, seen
        seen += more
    return found.group()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_a_renegotiation_is_not_followed(
    identity: Identity, anchors: Path, pinned: Pinned, tmp_path: Path
) -> None:
    """A TLS 1.2 server cannot renegotiate, which could bring another certificate unseen."""
    unpinned = ssl.create_default_context(cafile=anchors)

    assert b"read client hello" == _answer_to_renegotiation(identity, unpinned, tmp_path)
    assert b"no renegotiation" == _answer_to_renegotiation(identity, pinned(), tmp_path)


def test_a_shutdown_from_another_thread_ends_a_waiting_read(
    start: Start, identity: Identity, pinned: Pinned, connect: Connect
) -> None:
    """A thread that waits in recv() comes back, with an end or an OSError."""
    tls = connect(start(identity), pinned())
    outcome: list[object] = []

    def wait() -> None:
        try:
            outcome.append(tls.recv(1))
        except OSError as error:
            outcome.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    tls.shutdown(socket.SHUT_RDWR)
    waiting.join(5)

    assert b"" == outcome[0] or isinstance(outcome[0], OSError)
