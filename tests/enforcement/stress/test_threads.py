"""Many threads under a policy that keeps changing, and what they must not wait for."""

import contextlib
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.enforcement import live_connections
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.policy_file import PolicyFile
from holdfast.lab.authorities import Authority, Identity, new_key, self_signed
from holdfast.lab.issuance import Signer, Validity, leaf_certificate
from holdfast.lab.server import LabServer
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Verdict

Pinned = Callable[..., PinningContext]
Pair = Callable[..., Any]

THREADS = 64
ROUNDS = 4  # for each thread, with each server
PATIENCE = 10.0  # seconds
MESH = "mesh.internal"
SECRET = b"secret"


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads that take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def old(mixed: Policy) -> Policy:
    """Pins the server's key, and trusts the private root for the mesh."""
    return mixed


@pytest.fixture
def new(mixed: Policy, impostor: Identity, service: Identity, spare_pin: Pin) -> Policy:
    """Pins the impostor's key, and for the mesh the service's key alone."""
    public, private, _ = mixed.pin_sets
    pins: dict[str, Any] = {"leaf": (Pin.parse(impostor.spki_pin),), "backup": (spare_pin,)}
    lone = {**pins, "leaf": (Pin.parse(service.spki_pin),)}
    return replace(
        mixed,
        pin_sets=(
            replace(public, name="new", **pins),
            PinSet(
                name="lone", hosts=private.hosts, mode=private.mode, trust=Trust.PINS_ONLY, **lone
            ),
        ),
    )


@pytest.fixture
def forged(mesh: Authority) -> Identity:
    """A leaf that names the private root, whose signature somebody else has made."""
    key, forger = new_key(), Signer(new_key(), mesh.certificate)
    leaf = leaf_certificate([MESH], None, key, forger, Validity.of(None, None), "server")
    return Identity(key, (leaf, mesh.certificate))


class Flickering:
    """A source that changes between any two questions, until it is told to settle."""

    def __init__(self, *policies: Policy) -> None:
        self.policies = policies
        self._chance = random.Random(1)

    def current(self) -> Policy:
        """Return one of the policies."""
        return self._chance.choice(self.policies)


def _what_came_of(made: Any) -> str:  # noqa: ANN401
    """Shake hands and send a secret; say what was decided, and by which set."""
    try:
        made.handshake()
        made.client.write(SECRET)
    except PinViolationError as error:
        return _decision(error.violation.verdict)
    assert SECRET == made.arrived()
    return "accepted"


def _decision(verdict: Verdict) -> str:
    pin_set = verdict.pin_set
    return f"{verdict.outcome} by {pin_set.name if pin_set else None}"


@pytest.mark.threat("T49")
def test_each_outcome_is_that_of_one_policy(
    *,
    pinned: Pinned,
    pair: Pair,
    old: Policy,
    new: Policy,
    identity: Identity,
    impostor: Identity,
    rogue: Authority,
    service: Identity,
    forged: Identity,
) -> None:
    """While 64 threads connect, each is judged by the old policy or the new, never by a mix."""
    # A service that both accept is refused where the trust changed during its handshake.
    changed = {"undecidable by mesh", "undecidable by lone"}
    possible = {
        "old": {"accepted", "mismatch by new"},
        "new": {"accepted", "mismatch by lab"},
        "neither": {"mismatch by lab", "mismatch by new"},
        "both": {"accepted"} | changed,
        "forged": {"untrusted by mesh", "untrusted by lone", "mismatch by lone"} | changed,
        "lone": {"untrusted by mesh", "untrusted by lone", "mismatch by lone"} | changed,
    }
    shown = {
        "old": identity,
        "new": impostor,
        "neither": rogue.issue("localhost"),
        "both": service,
        "forged": forged,
        "lone": self_signed(MESH),
    }
    serving = {name: identity.server_context() for name, identity in shown.items()}
    source = Flickering(old, new)
    context = pinned(source)
    seen: dict[str, set[str]] = {name: set() for name in shown}
    held: list[Any] = []
    others: list[BaseException] = []

    def connect() -> None:
        try:
            for name in [*shown] * ROUNDS:
                host = "localhost" if name in {"old", "new", "neither"} else MESH
                made = pair(context, serving[name], host)
                held.append(made)
                seen[name].add(_what_came_of(made))
        except BaseException as error:  # noqa: BLE001  whatever it is, it is one too many
            others.append(error)

    threads = [threading.Thread(target=connect) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == others
    assert {} == {
        name: found - possible[name] for name, found in seen.items() if found - possible[name]
    }
    assert {"old", "new", "both"} == {name for name, found in seen.items() if "accepted" in found}

    # None that was accepted in the turmoil was lost sight of.
    denied = tuple(Pin.parse(one.spki_pin) for one in (identity, impostor, service))
    source.policies = (replace(old, denied=denied),)
    for made in held:
        _refuses_soon(made.client)


def _refuses_soon(client: Any) -> None:  # noqa: ANN401
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            client.write(SECRET)
        except OSError:
            return
        time.sleep(0.005)
    raise AssertionError("a connection outlived the policy that denies its key")


def test_sockets_of_many_threads(
    *,
    pinned: Pinned,
    old: Policy,
    new: Policy,
    identity: Identity,
    impostor: Identity,
    rogue: Authority,
) -> None:
    """Over sockets, a server that both policies refuse gets nothing and the others no errors."""
    source = Flickering(old, new)
    context = pinned(source)
    others: list[BaseException] = []
    with (
        LabServer(identity) as ours,
        LabServer(impostor) as theirs,
        LabServer(rogue.issue("localhost")) as stranger,
    ):

        def connect() -> None:
            for server in (ours, stranger, theirs):
                try:
                    with (
                        socket.create_connection((server.address, server.port)) as tcp,
                        context.wrap_socket(tcp, server_hostname="localhost") as tls,
                    ):
                        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        tls.recv(65536)
                except OSError:  # refused, or ended by the watch
                    continue
                except BaseException as error:  # noqa: BLE001
                    others.append(error)

        threads = [threading.Thread(target=connect) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        stranger.wait_for(THREADS)
        assert [] == others
        assert 0 == stranger.application_bytes
        assert ours.application_bytes > 0
        assert theirs.application_bytes > 0


def test_a_slow_handshake_holds_nothing_up(
    *, pinned: Pinned, policy: Policy, pair: Pair, identity: Identity, tmp_path: Path
) -> None:
    """While servers stall, other handshakes succeed under the same context and locks are free."""
    file = tmp_path / "pins.toml"
    pins = policy.pin_sets[0]
    file.write_text(
        "[holdfast]\nformat = 1\nunlisted = 'refuse'\n"
        "[pin_set.lab]\nhosts = ['localhost']\nmode = 'enforce'\n"
        f"leaf = ['{pins.leaf[0]}']\nbackup = ['{pins.backup[0]}']\n"
    )
    source = PolicyFile(file, check_interval=3600)
    context, serving = pinned(source), identity.server_context()
    assert pair(context, serving).handshake()  # the watch has begun
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stalled:
        clients, ended = [], []

        def stall(client: ssl.SSLSocket) -> None:
            with contextlib.suppress(OSError):
                client.do_handshake()
            ended.append(client)

        for _ in range(2):
            tcp = socket.create_connection(listener.getsockname())
            server = stalled.enter_context(listener.accept()[0])
            client = stalled.enter_context(
                context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
            )
            clients.append(threading.Thread(target=stall, args=[client]))
            clients[-1].start()
            assert server.recv(1) == b"\x16"  # within OpenSSL, and there it stays

        for lock in (live_connections._WATCH._starting, source._is_checking):
            assert lock.acquire(blocking=False)
            lock.release()
        assert pair(context, serving).handshake()
        assert [] == ended
    for thread in clients:
        thread.join()
    assert 2 == len(ended)
