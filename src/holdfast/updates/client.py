"""A client of signed updates: how what is in force is renewed.

1. `refresh` raises nothing: what was in force stays, and the answer says why.
2. Pins in force change only when everything is verified, accepted and on the disk. A denial does
   not wait for them: it counts although they are withheld or refused, and nothing is fresh then.
3. What another process has put in force counts here from the next refresh on, come what may of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from holdfast.errors import DenialsOnlyError, HoldfastError, UpdateError
from holdfast.updates.accept import Accepted, denials_in, denied_by, remembered
from holdfast.updates.cache import Cache
from holdfast.updates.cache_refresh import Refresh
from holdfast.updates.document import DenyList
from holdfast.updates.effective import effective_policy
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.forked_child import begun_anew_in_child
from holdfast.updates.freshness import Floor
from holdfast.updates.in_force import HARD_LIMIT, in_force_of
from holdfast.updates.seed import Seed
from holdfast.updates.signed_files import SignedFiles
from holdfast.updates.signed_hosts import NOBODY, Wanted
from holdfast.updates.started_client import StartedClient
from holdfast.updates.working_copy import DEADLINE, fetch

__all__ = ["Refreshed", "UpdateClient"]

_log = logging.getLogger("holdfast.updates")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of a refresh.

    Attributes:
        succeeded: Whether what is in force is what the origin says now.
        reason: Why not, for people.
    """

    succeeded: bool
    reason: str = ""


class _Held(NamedTuple):
    """What counts of a state although its pins do not: its deny list, and the epoch of that."""

    emergency: bytes | None
    epoch: int

    @classmethod
    def of(cls, files: SignedFiles) -> _Held:
        return cls(None if files.emergency is None else files.emergency.content, files.epoch)


class UpdateClient(StartedClient):
    """Loads and refreshes; one refresh at a time. Threads may share it."""

    def __init__(  # noqa: PLR0913 (keywords, each a setting of its own)
        self,
        origins: Sequence[OriginFetcher],
        *,
        root: bytes,
        cache: Cache,
        seed: Seed | None = None,
        allow_weakening: bool = False,
        hard_limit: timedelta = HARD_LIMIT,
        deadline: float = DEADLINE,
        wanted: Wanted = NOBODY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        after_refresh: Callable[[UpdateClient], None] = lambda _: None,
    ) -> None:
        """Bind everything and load what is kept.

        Args:
            origins: The repository, then its mirrors.
            root: The root metadata that ships with the application.
            cache: What is kept between runs.
            seed: The policy that ships with the application.
            allow_weakening: Whether the offline threshold may weaken the seed.
            hard_limit: How long a policy is stale before it is expired.
            deadline: Seconds that each origin has for all that a refresh asks of it.
            wanted: The hosts whose own pins are followed.
            clock: The time, with an offset.
            after_refresh: Called at the end of each refresh; it must neither raise nor wait.
        """
        self._origins = tuple(origins)
        self._unconnected = tuple(map(copy, origins))  # for a forked child
        self._deadline, self._after_refresh = deadline, after_refresh
        self._refreshing = threading.Lock()
        super().__init__(
            root=root,
            cache=cache,
            seed=seed,
            allow_weakening=allow_weakening,
            hard_limit=hard_limit,
            wanted=wanted,
            clock=clock,
        )
        _ALIVE.add(self)

    def refresh(self) -> Refreshed:
        """Ask the origin, and put in force what it says."""
        with self._refreshing:
            done = self._refreshed()
            self._after_refresh(self)
        return done

    def _forget_refresh(self) -> None:
        """Begin anew in a forked child: the thread that was refreshing does not exist there.

        What it was connected by is its parent's, and cannot even be closed: a thread was reading.
        """
        self._refreshing = threading.Lock()
        self._origins = tuple(map(copy, self._unconnected))

    def _refreshed(self) -> Refreshed:
        try:
            self._renew()
        except Exception as error:  # noqa: BLE001  rule 1, whatever it is
            reason = str(error) or type(error).__name__
            _log.warning("the policy was not updated: %s", reason)
            return Refreshed(succeeded=False, reason=reason)
        return Refreshed(succeeded=True)

    def _renew(self) -> None:
        with self._cache.refreshing() as work:
            memory = self._cache.memory()
            self._raise_floor(memory.floor)
            self._denied |= memory.denied
            if self._read_installation():
                self._installation = work.installation(self._installation)  # in place of that
            self._catch_up(memory.floor)
            now = self._now()
            held = None
            try:
                files = fetch(
                    self._origins,
                    root=self._root,
                    now=now,
                    metadata=work.metadata,
                    targets=work.targets,
                    wanted=self._wanted,
                    deadline=self._deadline,
                )
                held = _Held.of(files)
                accepted = self._sealed(files, now, work)
            except Exception as error:
                if isinstance(error, DenialsOnlyError):
                    held = _Held(error.emergency, error.epoch)
                self._hold(held, str(error), work)
                raise
            floor = Floor(accepted.epoch, accepted.serial, now)
            # Whoever starts from now on has it in force, whether or not the rest can be written.
            self._raise_floor(floor)
            self._put(accepted)
            work.raise_floor(floor)
            self._denied |= frozenset(remembered(accepted.epoch, accepted.denied))
            work.deny(self._denied)

    def _sealed(self, files: SignedFiles, now: datetime, work: Refresh) -> Accepted:
        """Accept files, and have them on the disk."""
        accepted = self._accept(files, now)
        if accepted.locked_out:
            raise UpdateError(
                f"nothing is left to {', '.join(accepted.locked_out)} by the keys that are denied",
                hint="pin other keys, or have a new epoch say what is denied",
            )
        if accepted.is_staged:
            self._installation = work.installation(self._installation)
        work.seal(now, self._verified)
        return accepted

    def _hold(self, held: _Held | None, why: str, work: Refresh) -> None:
        """Keep the pins in force, and deny what is denied by now."""
        in_force, notes = self._in_force, list(self._notes)
        if in_force.policy is None:
            return  # everything is refused, and there is nothing to measure a deny list by
        denied = denials_in(in_force.epoch, self._denied)
        if held is not None:
            notes.append(f"the newest state is not in force: {why}")
        if held is not None and held.emergency is not None and held.epoch >= in_force.epoch:
            try:
                told = denied_by(held.emergency, in_force.policy, denied)
                denied |= told
                self._denied |= frozenset(remembered(held.epoch, told))
                work.deny(self._denied)
            except (HoldfastError, OSError) as error:
                notes.append(str(error))
        deny = DenyList(serial=1, denied=denied)
        after = replace(
            in_force,
            policy=effective_policy(in_force.policy, deny, None, self._now()).policy,
            is_complete=in_force.is_complete and held is None,
            notes=tuple(notes) if held is not None else in_force.notes,
        )
        if after != in_force:
            self._in_force = self._told(after)

    def _catch_up(self, floor: Floor) -> None:
        """Take over what another process has put in force (rule 3)."""
        before = self._in_force
        if (before.epoch, before.serial) < (floor.epoch, floor.serial):
            loaded = self._loaded()
            if (before.epoch, before.serial) < (loaded.epoch, loaded.serial):
                self._settle(loaded)

    def _put(self, accepted: Accepted) -> None:
        before, after = self._in_force, in_force_of(accepted)
        if before.policy == after.policy:
            after = replace(after, policy=before.policy)  # the same object says "unchanged"
        else:
            which = "the candidate of " if after.is_candidate else ""
            _log.info("%sserial %d of epoch %d is in force", which, after.serial, after.epoch)
        self._settle(after)


_ALIVE = begun_anew_in_child(UpdateClient._forget_refresh)  # noqa: SLF001  the same module
