"""Run one fuzz target under atheris: seeds, the search, what was found, and the final statistics.

A target builds a subject out of the fuzzer's bytes and judges it: by the code under test, and by a
second implementation that shares nothing with it. Where the two differ it raises
`DisagreementError`; this, and any error that the code under test should not have let out, ends the
campaign, with the subject printed as a Python expression to paste into a test.

    python fuzz/<target>.py [--mutant NAME] [libFuzzer's arguments, corpus folders or found files]

`--mutant` plants a bug in the code under test, which the campaign then has to find. The search runs
in a child, because libFuzzer ends its process without a word to Python: the parent counts what was
accepted, and removes the seeds.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import atheris

Subject = TypeVar("Subject")
_COUNTS = struct.Struct("=QQ")
_DEFAULTS = (
    "-timeout=10",  # seconds for one input; it takes milliseconds, even on a busy machine
    "-mutate_depth=2",  # of five changes in a row, one breaks the subject before the others count
)


class DisagreementError(AssertionError):
    """The code under test and the second implementation do not say the same."""


@dataclass(frozen=True, kw_only=True)
class Target(Generic[Subject]):
    """What is fuzzed, and how.

    Attributes:
        build: Turns the fuzzer's bytes into a subject.
        judge: Tells whether the code under test accepted the subject; raises what is wrong.
        show: Turns a subject into a Python expression.
        seeds: The inputs to start from.
        mutants: Plants a bug, by its name.
        mutate: Makes a new input out of one, its size limit and a random seed; None: libFuzzer
            does.
        longest: Bytes of the longest input.
    """

    build: Callable[[bytes], Subject]
    judge: Callable[[Subject], bool]
    show: Callable[[Subject], str] = repr
    seeds: Callable[[], Iterable[bytes]] = tuple
    mutants: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    mutate: Callable[[bytes, int, int], bytes] | None = None
    longest: int = 512


def expect(expected: object, actual: object, what: str) -> None:
    """Raise `DisagreementError` unless both are equal."""
    if expected != actual:
        raise DisagreementError(f"{what}: expected {expected!r}, not {actual!r}")


def run(target: Target[Subject]) -> None:
    """Fuzz as the command line says, print the statistics, and exit as libFuzzer does."""
    arguments = sys.argv[1:]
    if "--mutant" in arguments:
        at = arguments.index("--mutant")
        _, name, *rest = arguments[at:]
        arguments = arguments[:at] + rest
        target.mutants[name]()
    counts = mmap.mmap(-1, _COUNTS.size)
    with tempfile.TemporaryDirectory(prefix="holdfast-fuzz-") as folder:
        child = os.fork()
        if child == 0:
            _search(target, arguments, Path(folder), counts)
        # An interrupt is for the child, which then prints its statistics.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _, status = os.waitpid(child, 0)
    executed, accepted = _COUNTS.unpack(counts[:])
    print(f"statistics: executed={executed} accepted={accepted}", flush=True)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def _search(target: Target[Subject], arguments: list[str], folder: Path, counts: mmap.mmap) -> None:
    """Hand over to libFuzzer, which does not return."""
    executed = accepted = 0

    def test_one(data: bytes) -> None:
        nonlocal executed, accepted
        executed += 1
        subject = target.build(data)
        try:
            accepted += target.judge(subject)
        except Exception as error:
            print(f"found: {type(error).__name__}: {error}", flush=True)
            print(f"found with: {target.show(subject)}", flush=True)
            raise
        finally:
            counts[:] = _COUNTS.pack(executed, accepted)

    arguments = [*_DEFAULTS, f"-max_len={target.longest}", *arguments]  # what stands later wins
    if not any(Path(argument).is_file() for argument in arguments):  # libFuzzer would only run it
        for number, seed in enumerate(target.seeds()):
            (folder / str(number)).write_bytes(seed)
        arguments.append(str(folder))
    atheris.Setup([sys.argv[0], *arguments], test_one, custom_mutator=target.mutate)
    atheris.Fuzz()
