"""Running a program that has to say, before anything else, that pins are enforced in it."""

from __future__ import annotations

import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from holdfast.enforcement.python_command import PythonCommand
from holdfast.errors import HoldfastError
from holdfast.run_child import CONFIRM

__all__ = ["NotEnforcedError", "run_confirmed"]

_PATIENCE = 60.0  # seconds until a Python has to be up
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class NotEnforcedError(HoldfastError):
    """A program did not say that pins are enforced in it."""


def run_confirmed(
    command: Sequence[str],
    python: PythonCommand,
    environment: Mapping[str, str],
    on_ready: Callable[[], object],
) -> int:
    """Run a program with enforcement, and wait for it.

    The Python that it starts is started once without the program first: one that does not enforce
    would run the program's code before anybody could notice.

    Args:
        command: The program and its arguments.
        python: The Python that the command starts.
        environment: What brings enforcement.
        on_ready: Called when the program is about to start, and enforcement is certain.

    Returns:
        Its exit code, or 128 and the number of the signal that ended it.

    Raises:
        NotEnforcedError: It does not enforce.
        OSError: It cannot be started.
    """
    if sys.platform == "win32":
        raise NotEnforcedError(
            "holdfast run needs pipes that a program inherits, which Windows does not have",
            hint="call holdfast.install() at the start of the program",
        )
    alone = (*python.interpreter, *python.options, "-c", "")
    with _started(alone, environment) as rehearsal:
        rehearsal.wait()
    on_ready()
    with _signals_passed_on() as signals, _started(command, environment, signals) as process:
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], signals: _Signals | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that has confirmed when this yields, or was ended by a signal before.

    Without signals it is a rehearsal.
    """
    word = secrets.token_hex(8)
    nowhere = subprocess.DEVNULL if signals is None else None
    reading, writing = os.pipe()
    try:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            try:
                process = subprocess.Popen(  # noqa: S603  the user's own command
                    command,
                    env={**environment, CONFIRM: f"{writing}:{word}"},
                    pass_fds=[writing],
                    stdin=nowhere,
                    stdout=nowhere,
                )
            finally:
                os.close(writing)
            with process:
                if signals is not None:
                    signals.pass_to(process)
                if not _confirms(pipe.fileno(), word.encode()):
                    process.kill()
                    if signals is None or -process.wait() not in signals.numbers:
                        raise NotEnforcedError(
                            f"{command[0]} did not say that pins are enforced in it, and was ended",
                            hint="holdfast has to be installed in the Python that it starts",
                        )
                yield process
    except PermissionError as error:
        raise NotEnforcedError(
            f"{command[0]} cannot be started: {error.strerror}", hint="is it executable?"
        ) from error


def _confirms(pipe: int, word: bytes) -> bool:
    """Tell whether the word comes out of the pipe before its end, and soon enough."""
    readable, _, _ = select.select([pipe], [], [], _PATIENCE)
    return bool(readable) and os.read(pipe, len(word)) == word


class _Signals:
    """Lets a program decide what signals mean. What a terminal sends it has already."""

    numbers = frozenset(getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name))

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass them on to this program, also those that came before it was there."""
        self._process = process
        while self._early:
            process.send_signal(self._early.pop(0))

    def handle(self, number: int, _: object) -> None:
        """Take a signal."""
        if number in {signal.SIGINT, signal.SIGQUIT} and _is_in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


@contextmanager
def _signals_passed_on() -> Iterator[_Signals]:
    signals = _Signals()
    before = {number: signal.signal(number, signals.handle) for number in signals.numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Tell whether the terminal sends its signals to the program too, whatever stdin is."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is none
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is gone
        return False
    finally:
        os.close(terminal)
