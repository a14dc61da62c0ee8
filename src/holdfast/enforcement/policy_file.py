"""A policy that follows its file, so that a change needs no restart.

1. `current` only reads attributes; a check of the files runs in a short daemon thread.
2. A file that is gone or has a mistake changes nothing: the last good policy stays in force, and it
is said.
3. A reading that gives an equal policy keeps the object, since an identity comparison says
"unchanged".
4. What was seen of a file is noted before it is read: a change in between shows at the next check.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns
from weakref import WeakSet

from holdfast.certificates.load_policy import read_policy
from holdfast.errors import PolicyError
from holdfast.pins.policy import Policy

_LOG = logging.getLogger("holdfast.policy")
# A file changed this short before it was read (nanoseconds) may change again without a new time
# stamp: file systems count in steps of up to 2 s. It is read once more.
_TIME_STAMP_STEP = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was noted of a file that is there; two that are equal mean the same content."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @property
    def is_settled(self) -> bool:
        return abs(time_ns() - max(self.modified, self.changed)) > _TIME_STAMP_STEP


@dataclass(frozen=True, slots=True)
class _Reading:
    """The outcome of one reading of the files; replaced as a whole, so readers need no lock."""

    policy: Policy
    error: Exception | None
    seen: dict[Path, _Seen | None]
    is_settled: bool


class PolicyFile:
    """A `PolicySource` that reloads its file when it, or an anchor file that it names, changes."""

    def __init__(self, path: str | os.PathLike[str], *, check_interval: float = 1.0) -> None:
        """Read the policy for the first time.

        Args:
            path: The file, as for `load_policy`. A relative path is taken from the present working
                directory.
            check_interval: Seconds between two looks at the files, at least.

        Raises:
            PolicyError: The file cannot be read or has a mistake.
        """
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - resolving links would miss a new target
        self._interval = check_interval
        self._is_checking = threading.Lock()
        seen: dict[Path, _Seen | None] = {}
        policy = read_policy(self._path, lambda file: seen.update({file: _look_at(file)}))
        self._reading = _Reading(policy, None, seen, _all_settled(seen))
        self._next_check = monotonic() + check_interval
        _ALIVE.add(self)

    @property
    def last_error(self) -> Exception | None:
        """What was wrong with the files at the last look, or None."""
        return self._reading.error

    def current(self) -> Policy:
        """Return the last good policy, and see to it that the files are looked at soon."""
        if monotonic() >= self._next_check and self._is_checking.acquire(blocking=False):
            try:
                threading.Thread(target=self._check, name="holdfast-policy", daemon=True).start()
            except RuntimeError:  # no more threads, or the interpreter is shutting down
                self._is_checking.release()
        return self._reading.policy

    def refresh(self) -> bool:
        """Look at the files now, and wait for it.

        Returns:
            Whether the policy in force is another one than before.
        """
        before = self._reading.policy
        self._is_checking.acquire()
        self._check()
        return self._reading.policy is not before

    def _check(self) -> None:
        """Look at the files and reload what changed; clear the flag that the caller has set."""
        try:
            if self._may_have_changed():
                self._read()
        finally:
            self._next_check = monotonic() + self._interval
            self._is_checking.release()

    def _may_have_changed(self) -> bool:
        reading = self._reading
        return (
            # What could not be read may be readable now with nothing to see from outside.
            reading.error is not None
            or not reading.is_settled
            or any(_look_at(file) != seen for file, seen in reading.seen.items())
        )

    def _read(self) -> None:
        old = self._reading
        seen: dict[Path, _Seen | None] = {}
        policy, error = old.policy, None
        try:
            policy = read_policy(self._path, lambda file: seen.update({file: _look_at(file)}))
        except Exception as problem:  # noqa: BLE001 - whatever it is, the last good policy stays
            error = problem
        if policy == old.policy:
            policy = old.policy
        self._reading = _Reading(policy, error, seen, _all_settled(seen))
        if error is not None:
            if str(error) != str(old.error):
                _LOG.error(
                    "the last good policy stays in force: %s",
                    error,
                    exc_info=None if isinstance(error, PolicyError) else error,
                )
        elif policy is not old.policy or old.error is not None:
            _LOG.info("%s: in force with %d pin sets", self._path, len(policy.pin_sets))

    def _forget_check(self) -> None:
        """Start anew in a forked child, where the thread that was checking does not exist."""
        self._is_checking = threading.Lock()


def _look_at(file: Path) -> _Seen | None:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return _Seen(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def _all_settled(seen: dict[Path, _Seen | None]) -> bool:
    return all(one is None or one.is_settled for one in seen.values())


_ALIVE: WeakSet[PolicyFile] = WeakSet()


def _forget_checks() -> None:
    for policy_file in _ALIVE:
        policy_file._forget_check()  # noqa: SLF001 - the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_checks)
