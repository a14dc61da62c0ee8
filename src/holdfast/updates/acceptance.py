"""What one client accepts of verified files, decided once as long as nothing else comes.

Most refreshes bring a new timestamp and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.updates.accept import Accepted, Given, accept
from holdfast.updates.host_index import HostIndex

if TYPE_CHECKING:
    from holdfast.pins.policy import Policy
    from holdfast.updates.freshness import Floor
    from holdfast.updates.signed_files import SignedFiles
    from holdfast.updates.signed_hosts import IndexFile

__all__ = ["Acceptance"]


class Acceptance:
    """Decides for one client, and keeps what was decided last."""

    def __init__(self, seed: Policy | None, *, allow_weakening: bool) -> None:
        """Bind what does not change.

        Args:
            seed: The policy that was shipped.
            allow_weakening: Whether the offline threshold may weaken it.
        """
        self._seed, self._allow_weakening = seed, allow_weakening
        self._last: tuple[Given, frozenset[str], bytes, Accepted] | None = None
        self._index: HostIndex | None = None

    def of(
        self,
        files: SignedFiles,
        *,
        floor: Floor,
        kept: frozenset[str],
        installation: bytes,
        now: datetime,
    ) -> Accepted:
        """Decide whether files may be in force, as `accept` does.

        Args:
            files: What was verified.
            floor: Nothing below it is accepted.
            kept: Denials that were remembered.
            installation: The installation value, from which a candidate's lot is drawn.
            now: The time that counts, with an offset.

        Raises:
            UpdateError: They may not; the text says what stands against it.
            PolicyError: A document has a mistake, or is in a format of a newer Holdfast.
        """
        given = _given(files, self._opened(files.hosts.index))
        asked = given, kept, installation
        last = self._last
        if last is not None and asked == last[:3] and given.break_glass is None:
            accepted = last[3]
            if floor.admits(accepted.epoch, accepted.serial):
                return replace(accepted, expires=given.expires)
        accepted = accept(
            given,
            seed=self._seed,
            floor=floor,
            kept=kept,
            installation=installation,
            now=now,
            allow_weakening=self._allow_weakening,
        )
        self._last = *asked, accepted
        return accepted

    def _opened(self, file: IndexFile | None) -> HostIndex | None:
        """Return the file of all hosts, the same object while it is the same file."""
        if file is None:
            return None
        if self._index is None or self._index.digest != file.digest:
            self._index = HostIndex(file.path, file.digest)
        return self._index


def _given(files: SignedFiles, index: HostIndex | None) -> Given:
    problems = (files.emergency_problem, files.breakglass_problem, *files.hosts.problems)
    return Given(
        pins=files.pins.content,
        policy=None if files.policy is None else files.policy.content,
        emergency=None if files.emergency is None else files.emergency.content,
        break_glass=None if files.breakglass is None else files.breakglass.content,
        epoch=files.epoch,
        expires=files.timestamp_expires,
        hosts=files.hosts.entries,
        outdated=files.hosts.outdated,
        index=index,
        problems=tuple(problem for problem in problems if problem is not None),
    )
