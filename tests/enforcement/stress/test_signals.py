"""Signals in the middle of a handshake: Ctrl-C, and handlers that connect themselves."""

import contextlib
import itertools
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from holdfast.enforcement import live_connections
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.gate import State
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.interfaces import PolicySource
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Violation

Pinned = Callable[..., PinningContext]
Pair = Callable[..., Any]

ENFORCEMENT = str(Path(live_connections.__file__).parent)
SECRET = b"secret"
SIGNAL = getattr(signal, "SIGUSR1", signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Python's own handler of Ctrl-C, and afterwards whatever was there."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, SIGNAL)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_connections, "_LINGER", 0)


def _with_signal_at(line: int, number: int, action: Callable[[], object]) -> bool:
    """Run something with a signal at its n-th line in `holdfast.enforcement`.

    A line counts once a call. The second time may be the end of a `with` block, before `__exit__`,
    where Python lets no signal in: a lock would stay held.

    Returns:
        Whether there is such a line.
    """
    seen: set[tuple[FrameType, int]] = set()
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
        if not frame.f_code.co_filename.startswith(ENFORCEMENT):
            return None
        place = frame, frame.f_lineno
        if event == "line" and place not in seen:
            seen.add(place)
            if len(seen) == line:
                sys.settrace(before)
                signal.raise_signal(number)
        return trace

    sys.settrace(trace)
    try:
        with contextlib.suppress(OSError, KeyboardInterrupt):
            action()
    finally:
        sys.settrace(before)
    return len(seen) >= line


def test_ctrl_c_at_any_line_sends_an_impostor_nothing(
    pinned: Pinned, source: PolicySource, impostor: Identity, pair: Pair, version: ssl.TLSVersion
) -> None:
    """Wherever Ctrl-C comes, what is left of the connection neither sends nor reads."""
    context = pinned(source)
    serving = impostor.server_context(minimum_version=version, maximum_version=version)
    for line in itertools.count(1):
        made = pair(context, serving)
        if not _with_signal_at(line, signal.SIGINT, made.handshake):
            break
        for step, *arguments in ((made.client.write, SECRET), (made.client.read,)):
            with pytest.raises(OSError):  # noqa: PT011  which one depends on the line
                step(*arguments)
        assert b"" == made.arrived(), f"line {line}"

    assert line > 50


def test_ctrl_c_at_any_line_leaves_no_connection_unwatched(
    pinned: Pinned,
    source: PolicySource,
    identity: Identity,
    pair: Pair,
    version: ssl.TLSVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever can still be used afterwards is one that a change of the policy will reach."""
    context = pinned(source)
    live = context._holdfast_pinning.enforcement.live
    serving = identity.server_context(minimum_version=version, maximum_version=version)
    for line in itertools.count(1):
        monkeypatch.setattr(live_connections, "_WATCH", live_connections._Watch())
        made = pair(context, serving)
        if not _with_signal_at(line, signal.SIGINT, made.handshake):
            break
        with contextlib.suppress(OSError):
            made.client.write(SECRET)
        is_accepted = made.client._holdfast_state is State.ACCEPTED
        is_watched = id(made.client) in live._connections and bool(
            live_connections._WATCH._thread and live_connections._WATCH._thread.is_alive()
        )
        assert is_watched or not is_accepted, f"line {line}"
        assert (SECRET if is_accepted else b"") == made.arrived(), f"line {line}"

    assert line > 50


def test_a_handler_may_connect_at_any_line(
    pinned: Pinned,
    source: PolicySource,
    identity: Identity,
    pair: Pair,
    violations: list[Violation],
) -> None:
    """A handler that makes a pinned connection does not wait for what it has interrupted."""
    context, serving = pinned(source), identity.server_context()
    inner: list[bool] = []
    signal.signal(SIGNAL, lambda *_: inner.append(pair(context, serving).handshake()))
    lines = 0
    for line in itertools.count(1):
        made = pair(context, serving)
        if not _with_signal_at(line, SIGNAL, made.handshake):
            break
        made.client.write(SECRET)
        assert SECRET == made.arrived()
        lines = line

    assert [True] * lines == inner
    assert [] == violations


@pytest.mark.parametrize("call", [2, 3])
@pytest.mark.parametrize("over", ["socket", "bio"])
def test_ctrl_c_within_the_source(
    *,
    call: int,
    over: str,
    pinned: Pinned,
    policy: Policy,
    impostor: Identity,
    connect: Callable[..., ssl.SSLSocket],
    over_bio: Callable[..., Any],
    received: Callable[[LabServer], tuple[int, int]],
    still_open: contextlib.ExitStack,
) -> None:
    """Ctrl-C while the policy is asked for leaves no usable connection to an impostor."""
    calls = itertools.count()

    class Interrupting:
        def current(self) -> Policy:
            # 0 is for the context, 1 for the connection that is about to be made.
            if next(calls) == call:
                signal.raise_signal(signal.SIGINT)
            return policy

    server = still_open.enter_context(LabServer(impostor))
    context = pinned(Interrupting())
    tls, drive = (
        (connect(server, context, do_handshake_on_connect=False), lambda step: step())
        if over == "socket"
        else over_bio(server, context)
    )
    with pytest.raises(KeyboardInterrupt):
        drive(tls.do_handshake)
    with pytest.raises(PinViolationError):
        tls.write(SECRET)

    assert (0, 0) == received(server)


def test_ctrl_c_while_the_server_stalls(pinned: Pinned, source: PolicySource) -> None:
    """A blocking handshake ends at Ctrl-C, and what is sent afterwards is not sent in the clear."""
    this_thread = threading.get_ident()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tcp = socket.create_connection(listener.getsockname(), timeout=5)
        stalled, _ = listener.accept()
        with (
            stalled,
            pinned(source).wrap_socket(
                tcp, server_hostname="localhost", do_handshake_on_connect=False
            ) as tls,
        ):
            arrived: list[bytes] = []

            def interrupt() -> None:
                arrived.append(stalled.recv(65536))  # the handshake has begun
                signal.pthread_kill(this_thread, signal.SIGINT)

            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                tls.do_handshake()
            thread.join()
            tls.settimeout(0.1)
            for step in (lambda: tls.send(SECRET), lambda: tls.recv(1)):
                with pytest.raises(OSError):  # noqa: PT011  it is in mid-handshake for ever
                    step()
        stalled_data = b"".join(arrived)

    assert stalled_data.startswith(b"\x16\x03")  # RFC 8446 section 5.1: a handshake record
    assert SECRET not in stalled_data


def test_ctrl_c_at_any_line_keeps_the_client_certificate_back(
    *,
    pinned: Pinned,
    source: PolicySource,
    honest: Authority,
    impostor: Identity,
    client_identity: Identity,
    pair: Pair,
    version: ssl.TLSVersion,
) -> None:
    """Wherever Ctrl-C comes, an impostor sees no certificate."""
    context = pinned(source)
    client_identity.load_into(context)
    serving = impostor.server_context(
        minimum_version=version,
        maximum_version=version,
        client_anchors=[honest],
        require_client_certificate=False,
    )
    for line in itertools.count(1):
        made = pair(context, serving)
        if not _with_signal_at(line, signal.SIGINT, made.handshake):
            break
        with contextlib.suppress(OSError):
            made.handshake()
        with contextlib.suppress(OSError, ValueError):
            assert made.server.getpeercert(binary_form=True) is None, f"line {line}"
        assert b"" == made.arrived(), f"line {line}"

    assert line > 50
