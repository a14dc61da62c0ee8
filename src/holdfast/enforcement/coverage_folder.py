"""A folder in which the processes of one program leave what they have seen.

Each process has a file of its own and writes a record when it sees something for the first time, so
that nothing is lost when a process is killed, and the folder grows with what there is to see and
not with time.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from holdfast.findings.coverage import Coverage, host_record, program_record, stack_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.facts.tls_stacks import TlsStack
    from holdfast.findings.coverage import Record
    from holdfast.pins.verdict import Verdict

__all__ = ["CoverageFolder"]

_MOST_RECORDS = 100_000  # of one process: a crawler shall not fill the disk


class CoverageFolder:
    """Writes what this process sees, and reads what all have seen."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that exists."""
        self._folder = folder
        self._written: set[str] = set()

    def verdict(self, verdict: Verdict) -> None:
        """Note what became of a connection."""
        self._write(host_record(verdict))

    def stack(self, stack: TlsStack, *, refused: bool) -> None:
        """Note a TLS stack that is not covered."""
        self._write(stack_record(stack.name, refused=refused))

    def program(self, name: str, reason: str) -> None:
        """Note a program that is not covered."""
        self._write(program_record(name, reason))

    def read(self) -> Coverage:
        """Return what all processes have seen so far."""
        return Coverage.of(self._records())

    def _write(self, record: Record) -> None:
        line = json.dumps(record)
        if line in self._written or len(self._written) >= _MOST_RECORDS:
            return
        self._written.add(line)
        # Named anew each time: a forked child has a file of its own.
        path = self._folder / f"{os.getpid()}.jsonl"
        with contextlib.suppress(OSError):  # a full disk ends no connection
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode() + b"\n")
            finally:
                os.close(descriptor)

    def _records(self) -> Iterator[dict[str, object]]:
        for path in sorted(self._folder.glob("*.jsonl")):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError):  # the disk was full
                    record = json.loads(line)
                    if isinstance(record, dict):
                        yield record
