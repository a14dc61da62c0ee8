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
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from holdfast.errors import DenialsOnlyError, HoldfastError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Trust
from holdfast.pins.policy import OnStale, Policy
from holdfast.updates.accept import Accepted, Given, accept, denials_in, denied_by, remembered
from holdfast.updates.cache import Cache, Generation, Refresh
from holdfast.updates.document import DenyList
from holdfast.updates.effective import effective_policy
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import Floor, State, state_of, trusted_now
from holdfast.updates.memory import NO_FLOOR
from holdfast.updates.seed import Seed
from holdfast.updates.signed_files import DEADLINE, SignedFiles, fetch, verify_kept

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
    """

    policy: Policy | None
    epoch: int = 0
    serial: int = 0
    expires: datetime | None = None
    is_complete: bool = True
    refresh: timedelta = _FIRST_REFRESH
    notes: tuple[str, ...] = ()

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

    def __init__(
        self,
        origins: Sequence[OriginFetcher],
        *,
        root: bytes,
        cache: Cache,
        seed: Seed | None = None,
        allow_weakening: bool = False,
        hard_limit: timedelta = HARD_LIMIT,
        deadline: float = DEADLINE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
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
            clock: The time, with an offset.
        """
        self._origins = origins
        self._root, self._cache, self._seed = root, cache, seed
        self._allow_weakening = allow_weakening
        self._hard_limit, self._deadline, self._clock = hard_limit, deadline, clock
        self._refreshing = threading.Lock()
        self._floor = (
            NO_FLOOR if seed is None else replace(NO_FLOOR, epoch=seed.epoch, serial=seed.serial)
        )
        self._accepted: tuple[Given, frozenset[str], Accepted] | None = None
        self._relaxed: tuple[Policy, Policy] | None = None
        self._denied: frozenset[str] = frozenset()
        self._notes: tuple[str, ...] = ()  # of what is in force, whatever refreshes say
        self._in_force = InForce(policy=None)
        self._settle(self._loaded())

    @property
    def in_force(self) -> InForce:
        """What is in force."""
        return self._in_force

    @property
    def state(self) -> State:
        """How far it can be relied on to be the newest."""
        return self._in_force.state(self._now(), self._hard_limit)

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

    def refresh(self) -> Refreshed:
        """Ask the origin, and put in force what it says."""
        with self._refreshing:
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
        )
        return self._accept(files, generation.verified_at)

    def _accept(self, files: SignedFiles, now: datetime) -> Accepted:
        given, denied = _given(files), self._denied
        # Most refreshes bring a new timestamp and nothing else.
        known = self._accepted
        if known is not None and (given, denied) == known[:2] and given.break_glass is None:
            accepted = known[2]
            if self._floor.admits(accepted.epoch, accepted.serial):
                return replace(accepted, expires=given.expires)
        accepted = accept(
            given,
            seed=None if self._seed is None else self._seed.policy,
            floor=self._floor,
            denied=denials_in(files.epoch, denied),
            now=now,
            allow_weakening=self._allow_weakening,
        )
        self._accepted = given, denied, accepted
        return accepted

    def _put(self, accepted: Accepted) -> None:
        before, after = self._in_force, _in_force(accepted)
        if before.policy == after.policy:
            after = replace(after, policy=before.policy)  # the same object says "unchanged"
        else:
            _log.info("serial %d of epoch %d is in force", after.serial, after.epoch)
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


def _given(files: SignedFiles) -> Given:
    problems = (files.emergency_problem, files.breakglass_problem)
    return Given(
        pins=files.pins.content,
        policy=None if files.policy is None else files.policy.content,
        emergency=None if files.emergency is None else files.emergency.content,
        break_glass=None if files.breakglass is None else files.breakglass.content,
        epoch=files.epoch,
        expires=files.timestamp_expires,
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
