"""A client of signed updates: what is in force, from the cache or the seed, and how it is renewed.

1. Starting asks no network. What is kept is verified again, each time.
2. `refresh` raises nothing: what was in force stays, and the answer says why.
3. Pins in force change only when everything is verified, accepted and on the disk. A denial does
   not wait for them: it counts although they are withheld or refused, and nothing is fresh then.
4. A cache that cannot be used leaves the seed, and an alarm.
5. What another process has put in force counts here from the next refresh on, come what may of it.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from holdfast.errors import CacheError, DenialsOnlyError, HoldfastError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Trust
from holdfast.pins.policy import OnStale, Policy
from holdfast.updates.accept import Accepted, Given, accept, denials_in, denied_by, remembered
from holdfast.updates.cache import Cache
from holdfast.updates.cache_refresh import Refresh
from holdfast.updates.document import DenyList
from holdfast.updates.effective import effective_policy
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import Floor, State, state_of, trusted_now
from holdfast.updates.generations import Generation
from holdfast.updates.host_index import HostIndex
from holdfast.updates.installation import new_installation
from holdfast.updates.memory import NO_FLOOR
from holdfast.updates.seed import Seed
from holdfast.updates.signed_files import SignedFiles
from holdfast.updates.signed_hosts import NOBODY, IndexFile, Wanted
from holdfast.updates.working_copy import DEADLINE, fetch, verify_kept

__all__ = ["HARD_LIMIT", "InForce", "Refreshed", "UpdateClient"]

HARD_LIMIT = timedelta(days=90)
_FIRST_REFRESH = timedelta(minutes=15)
_log = logging.getLogger("holdfast.updates")


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What is in force.

    Attributes:
        policy: The policy; None while there is none.
        epoch: Of it; 0 for a seed without one.
        serial: Of it; 0 for a seed without one.
        expires: When it is no longer fresh; None for a seed.
        is_complete: Whether all that belongs to it could be had.
        refresh: How long to wait before asking again.
        notes: What is wrong, in words.
        is_candidate: Whether it is the candidate of a roll-out, and not yet the stable policy.
    """

    policy: Policy | None
    epoch: int = 0
    serial: int = 0
    expires: datetime | None = None
    is_complete: bool = True
    refresh: timedelta = _FIRST_REFRESH
    notes: tuple[str, ...] = ()
    is_candidate: bool = False

    def state(self, now: datetime, hard_limit: timedelta = HARD_LIMIT) -> State:
        """Say how far it can be relied on to be the newest."""
        if self.policy is None:
            return State.EMPTY
        if self.expires is None:
            return State.SEED
        return state_of(self.expires, now, hard_limit, is_complete=self.is_complete)


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


class UpdateClient:
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
        self._root, self._cache, self._seed = root, cache, seed
        self._allow_weakening = allow_weakening
        self._hard_limit, self._deadline, self._clock = hard_limit, deadline, clock
        self._after_refresh = after_refresh
        self._wanted = wanted
        self._index: HostIndex | None = None
        self._refreshing = threading.Lock()
        self._floor = (
            NO_FLOOR if seed is None else replace(NO_FLOOR, epoch=seed.epoch, serial=seed.serial)
        )
        self._accepted: tuple[Given, frozenset[str], bytes, Accepted] | None = None
        self._installation = new_installation()  # for this process, where none is kept
        self._relaxed: tuple[Policy, Policy] | None = None
        self._denied: frozenset[str] = frozenset()
        self._notes: tuple[str, ...] = ()  # of what is in force, whatever refreshes say
        self._in_force = InForce(policy=None)
        self._settle(self._loaded())
        _ALIVE.add(self)

    @property
    def in_force(self) -> InForce:
        """What is in force."""
        return self._in_force

    @property
    def state(self) -> State:
        """How far it can be relied on to be the newest."""
        return self._in_force.state(self._now(), self._hard_limit)

    @property
    def installation(self) -> bytes:
        """The installation value, which never leaves the machine."""
        return self._installation

    @property
    def now(self) -> datetime:
        """The time that counts, with an offset."""
        return self._now()

    def current(self) -> Policy:
        """Return the policy of the moment.

        Raises:
            UpdateError: There is none, or what is there has expired and says that nothing counts
                then.
        """
        in_force, state = self._in_force, self.state
        if in_force.policy is None:
            raise UpdateError("there is no policy yet", hint="ship a seed with the application")
        if state is not State.EXPIRED or in_force.policy.on_stale is OnStale.ENFORCE:
            return in_force.policy
        if in_force.policy.on_stale is OnStale.REFUSE:
            raise UpdateError(
                f"the signed policy expired at {in_force.expires}, and refuses everything then"
            )
        kept = self._relaxed
        if kept is None or kept[0] is not in_force.policy:
            kept = self._relaxed = in_force.policy, _report_only(in_force.policy)
        return kept[1]

    def follow(self, hosts: Iterable[str]) -> None:
        """Ask for the pins of more hosts, in canonical form, from the next refresh on."""
        self._wanted = self._wanted._replace(hosts=self._wanted.hosts.union(hosts))

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
        except Exception as error:  # noqa: BLE001  rule 2, whatever it is
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
        """Take over what another process has put in force (rule 5)."""
        before = self._in_force
        if (before.epoch, before.serial) < (floor.epoch, floor.serial):
            loaded = self._loaded()
            if (before.epoch, before.serial) < (loaded.epoch, loaded.serial):
                self._settle(loaded)

    def _loaded(self) -> InForce:
        """Return what is kept, else the seed."""
        notes: list[str] = []
        try:
            memory = self._cache.memory()
            notes += [f"{self._cache.folder / name} is damaged" for name in memory.damaged]
            self._raise_floor(memory.floor)
            notes += self._read_installation()
            self._denied |= memory.denied
            loaded = self._cache.load(self._verified)
        except (HoldfastError, OSError) as error:
            notes.append(f"the cache cannot be used: {error}")
            loaded = None
        if loaded is None:
            return self._of_seed(tuple(notes))
        accepted = loaded.value
        # The copies of the floor may be lost, and what is in force is a floor itself.
        self._raise_floor(Floor(accepted.epoch, accepted.serial, loaded.generation.verified_at))
        return _in_force(accepted, (*notes, *loaded.rejected))

    def _read_installation(self) -> tuple[str, ...]:
        """Take the installation value that is kept, else stay with the one of this process."""
        try:
            self._installation = self._cache.installation() or self._installation
        except CacheError as error:
            return (str(error),)
        return ()

    def _of_seed(self, notes: tuple[str, ...]) -> InForce:
        if self._seed is None:
            return InForce(policy=None, notes=notes)
        denied: frozenset[Pin] = frozenset()
        with suppress(HoldfastError):  # which was told already
            denied = denials_in(self._seed.epoch, self._denied)
        deny = DenyList(serial=1, denied=denied)
        policy, more = effective_policy(self._seed.policy, deny, None, self._now())
        return InForce(
            policy=policy,
            epoch=self._seed.epoch,
            serial=self._seed.serial,
            notes=(*notes, *more),
        )

    def _verified(self, generation: Generation) -> Accepted:
        files = verify_kept(
            root=self._root,
            now=generation.verified_at,
            metadata=generation.metadata,
            targets=generation.targets,
            wanted=self._wanted,
        )
        return self._accept(files, generation.verified_at)

    def _accept(self, files: SignedFiles, now: datetime) -> Accepted:
        given, denied = _given(files, self._opened(files.hosts.index)), self._denied
        # Most refreshes bring a new timestamp and nothing else.
        known = self._accepted
        asked = given, denied, self._installation
        if known is not None and asked == known[:3] and given.break_glass is None:
            accepted = known[3]
            if self._floor.admits(accepted.epoch, accepted.serial):
                return replace(accepted, expires=given.expires)
        accepted = accept(
            given,
            seed=None if self._seed is None else self._seed.policy,
            floor=self._floor,
            kept=denied,
            installation=self._installation,
            now=now,
            allow_weakening=self._allow_weakening,
        )
        self._accepted = *asked, accepted
        return accepted

    def _opened(self, file: IndexFile | None) -> HostIndex | None:
        """Return the file of all hosts, the same object while it is the same file."""
        if file is None:
            return None
        if self._index is None or self._index.digest != file.digest:
            self._index = HostIndex(file.path, file.digest)
        return self._index

    def _put(self, accepted: Accepted) -> None:
        before, after = self._in_force, _in_force(accepted)
        if before.policy == after.policy:
            after = replace(after, policy=before.policy)  # the same object says "unchanged"
        else:
            which = "the candidate of " if after.is_candidate else ""
            _log.info("%sserial %d of epoch %d is in force", which, after.serial, after.epoch)
        self._settle(after)

    def _settle(self, in_force: InForce) -> None:
        self._notes = in_force.notes
        self._in_force = self._told(in_force)

    def _told(self, in_force: InForce) -> InForce:
        for note in in_force.notes:
            _log.error("%s", note)
        return in_force

    def _raise_floor(self, floor: Floor) -> None:
        self._floor = self._floor.raised_by(floor)

    def _now(self) -> datetime:
        return trusted_now(self._clock(), self._floor)


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


def _in_force(accepted: Accepted, notes: tuple[str, ...] = ()) -> InForce:
    return InForce(
        policy=accepted.policy,
        epoch=accepted.epoch,
        serial=accepted.serial,
        expires=accepted.expires,
        is_complete=accepted.is_complete,
        refresh=accepted.refresh,
        notes=(*notes, *accepted.notes),
        is_candidate=accepted.is_candidate,
    )


def _report_only(policy: Policy) -> Policy:
    """Return a policy without enforcement, but where that was ruled out: strict or not public."""
    return replace(
        policy,
        pin_sets=tuple(
            pin_set
            if pin_set.strict or pin_set.trust is not Trust.PUBLIC
            else replace(pin_set, mode=Mode.REPORT_ONLY)
            for pin_set in policy.pin_sets
        ),
    )


_ALIVE: weakref.WeakSet[UpdateClient] = weakref.WeakSet()


def _begin_anew() -> None:
    for client in list(_ALIVE):
        client._forget_refresh()  # noqa: SLF001  the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
