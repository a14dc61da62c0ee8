"""A program that forks, or exits, while its threads make pinned connections.

It is run in an interpreter of its own, so that what goes wrong there harms no other test. What it
finds it says by its exit code and on its standard error.

Usage: under_load.py SCENARIO DIRECTORY
"""

import atexit
import contextlib
import faulthandler
import multiprocessing
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.enforcement import handshake, live_connections
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.authorities import Authority, new_key, spki_pin
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Violation

THREADS = 8
CHILDREN = 60
PATIENCE = 20  # seconds, after which a child counts as hanging
EXIT_CODE = 7


class Source:
    """A policy source that can change."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy of now."""
        return self.policy


class Sink:
    """A sink that takes its time, so that a report is always under way."""

    def __init__(self, action: Callable[[], object] = lambda: time.sleep(0.001)) -> None:
        self.action = action

    def report(self, violation: Violation) -> None:
        """Make the whole explanation, as a log does."""
        str(PinViolationError(violation))
        self.action()


_within_openssl = threading.Lock()


class Guarded(ssl.SSLObject):
    """Lets nobody fork while another thread is within OpenSSL without Python's lock.

    Its own locks stay held in the child then: two of a hundred children of an unpinned program hang
    (OpenSSL 3.0). Making a connection takes one that is shared by all of them, for its ex_data. All
    that is around it may be interrupted by a fork.
    """

    @classmethod
    def _create(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _within_openssl:
            return super()._create(*args, **kwargs)  # type: ignore[misc]

    def do_handshake(self) -> None:
        """Do the handshake, or a part of it."""
        with _within_openssl:
            super().do_handshake()

    def write(self, data: Any) -> int:  # noqa: ANN401
        """Write."""
        with _within_openssl:
            return super().write(data)


class Stage:
    """A pinned context, and the two servers between which it is to tell."""

    def __init__(self, directory: Path) -> None:
        authority = Authority.new("Honest CA")
        right, wrong = authority.issue("localhost"), authority.issue("localhost")
        anchors = directory / f"anchors-{os.getpid()}.pem"
        anchors.write_text(authority.pem, "ascii")
        pin_set = PinSet(
            name="lab",
            hosts=(HostPattern.parse("localhost"),),
            mode=Mode.ENFORCE,
            leaf=(Pin.parse(right.spki_pin),),
            backup=(Pin.parse(spki_pin(new_key())),),
        )
        self.source = Source(Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,)))
        self.sink = Sink()
        self.context = PinningContext(self.source, sink=self.sink, public_anchors=anchors)
        self.right, self.wrong = right.server_context(), wrong.server_context()
        for context in (self.context, self.right, self.wrong):
            context.sslobject_class = Guarded
        self.denying = replace(self.source.policy, denied=(Pin.parse(right.spki_pin),))

    def connect(self, serving: ssl.SSLContext) -> ssl.SSLObject:
        """Return an accepted connection.

        Raises:
            PinViolationError: It is refused.
        """
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(to_client, to_server, server_hostname="localhost")
        server = serving.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(6):
            for end in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
        client.write(b"data")
        return client

    def check(self) -> None:
        """Check that the right server is accepted and the wrong one refused.

        Raises:
            AssertionError: It is not so.
        """
        self.connect(self.right)
        try:
            self.connect(self.wrong)
        except PinViolationError:
            return
        raise AssertionError("the wrong server was accepted")

    def check_watch(self) -> None:
        """Check that a policy which changes here ends a connection here."""
        client = self.connect(self.right)
        self.source.policy = self.denying
        while True:  # until the end of patience
            try:
                client.write(b"more")
            except PinViolationError:
                return
            time.sleep(0.01)

    def load(self) -> None:
        """Make connections in other threads, for ever."""

        def go_on() -> None:
            while True:
                self.check()
                self.source.policy = replace(self.source.policy)

        for _ in range(THREADS):
            threading.Thread(target=go_on, daemon=True).start()


def _in_child(stage: Stage) -> None:
    """What a child does: connect itself, and be watched by itself."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)  # says where it hangs
    stage.check()
    stage.check_watch()


def fork(stage: Stage) -> None:
    """Fork many times; each child has to do all that its parent can."""
    held = stage.connect(stage.right)  # children inherit an accepted connection too
    stage.load()
    failed = []
    for _ in range(CHILDREN):
        with _within_openssl:
            child = os.fork()
        if child == 0:
            code = 1
            try:
                _in_child(stage)
                _refused_soon(held)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status:
            failed.append(os.waitstatus_to_exitcode(status))
    held.write(b"more")  # what a child's policy says does not concern the parent
    if failed:
        raise SystemExit(f"children ended with {failed}")


def _refused_soon(client: ssl.SSLObject) -> None:
    while True:  # until the end of patience
        try:
            client.write(b"more")
        except PinViolationError:
            return
        time.sleep(0.01)


def fork_once(_stage: Stage) -> None:
    """Fork before anything was refused; what a refusal loads has to be there in the child."""
    late = set(handshake._LOADED_LATE) - {"cryptography.x509"}  # of which the servers are made
    assert not late <= sys.modules.keys()
    child = os.fork()
    if child == 0:
        os._exit(0 if late <= sys.modules.keys() else 1)
    status = os.waitpid(child, 0)[1]
    if status:
        raise SystemExit("a child would load a module that another thread may be loading")


_inherited: list[Stage] = []


def _work(directory: str) -> str:
    """What a process of a pool does: with the stage that it inherits, or one of its own."""
    stage = _inherited[0] if _inherited else Stage(Path(directory))
    policy = stage.source.policy
    _in_child(stage)
    faulthandler.cancel_dump_traceback_later()
    stage.source.policy = policy  # for the next one
    stage.connect(stage.wrong)
    return "the wrong server was accepted"


def pool(stage: Stage, directory: Path) -> None:
    """Have idle pools of each kind connect; their refusals come back as what they are."""
    _inherited.append(stage)
    for method in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(method).Pool(2) as workers:
            for answer in [workers.apply_async(_work, [str(directory)]) for _ in range(4)]:
                answer.wait(2 * PATIENCE)
                try:
                    came_of = answer.get(0)
                except PinViolationError as error:
                    came_of = error.violation.verdict.host
                if came_of != "localhost":
                    raise SystemExit(f"{method}: {came_of}")


def leave(stage: Stage) -> None:
    """Exit in the middle of it all, and connect once more on the way out."""
    atexit.register(stage.check)
    held = stage.connect(stage.right)
    stage.load()
    time.sleep(0.3)
    held.write(b"more")
    sys.exit(EXIT_CODE)


def leave_late(stage: Stage) -> None:
    """Make the first connections on the way out, where Python may refuse to start a thread."""
    atexit.register(stage.check)
    sys.exit(EXIT_CODE)


def leave_from_sink(stage: Stage) -> None:
    """Exit from within a report, in the thread that connects."""
    stage.load()
    stage.sink.action = _exit_in_main_thread
    stage.connect(stage.wrong)


def leave_from_watch(stage: Stage) -> None:
    """Exit from within the report on an open connection, which ends neither process nor watch."""
    first, second = stage.connect(stage.right), stage.connect(stage.right)
    stage.sink.action = sys.exit
    stage.source.policy = stage.denying
    signal.alarm(PATIENCE)
    _refused_soon(first)
    _refused_soon(second)
    sys.exit(EXIT_CODE)


def _exit_in_main_thread() -> None:
    if threading.current_thread() is threading.main_thread():
        sys.exit(EXIT_CODE)


def main(scenario: str, directory: Path) -> None:
    """Run one scenario."""
    stage: Any = Stage(directory)
    live_connections._LINGER = 0.2
    if scenario == "pool":
        pool(stage, directory)
        return
    scenarios: dict[str, Callable[[Stage], None]] = {
        "fork": fork,
        "fork-once": fork_once,
        "leave": leave,
        "leave-late": leave_late,
        "leave-from-sink": leave_from_sink,
        "leave-from-watch": leave_from_watch,
    }
    scenarios[scenario](stage)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
