"""A client of signed updates: what is in force, from the cache or the seed, and how it is renewed.

1. Starting asks no network. What is kept is verified again, each time.
2. `refresh` raises nothing: what was in force stays, and the answer says why.
3. What is in force changes only when everything is verified, accepted and on the disk.
4. A cache that cannot be used leaves the seed, and an alarm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from holdfast.errors import HoldfastError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Trust
from holdfast.pins.policy import OnStale, Policy
from holdfast.updates.accept import Accepted, Given, accept, denials_in, remembered
from holdfast.updates.cache import Cache, Generation
from holdfast.updates.document import DenyList
from holdfast.updates.effective import effective_policy
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import Floor, State, state_of, trusted_now
from holdfast.updates.memory import NO_FLOOR
from holdfast.updates.seed import Seed
from holdfast.updates.signed_files import SignedFiles, fetch, verify_kept

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
            clock: The time, with an offset.
        """
        self._origins = origins
        self._root, self._cache, self._seed = root, cache, seed
        self._allow_weakening = allow_weakening
        self._hard_limit, self._clock = hard_limit, clock
        self._refreshing = threading.Lock()
        self._floor = (
            NO_FLOOR if seed is None else replace(NO_FLOOR, epoch=seed.epoch, serial=seed.serial)
        )
        self._accepted: tuple[Given, frozenset[str], Accepted] | None = None
        self._relaxed: tuple[Policy, Policy] | None = None
        self._in_force = self._loaded()

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
            now = self._now()
            files = fetch(
                self._origins,
                root=self._root,
                now=now,
                metadata=work.metadata,
                targets=work.targets,
            )
            accepted = self._accept(files, now, memory.denied)
            work.seal(now, lambda generation: self._verified(generation, memory.denied))
            floor = Floor(accepted.epoch, accepted.serial, now)
            work.raise_floor(floor)
            work.deny(remembered(accepted.epoch, accepted.denied))
        self._raise_floor(floor)
        self._put(accepted)

    def _loaded(self) -> InForce:
        """Return what is kept, else the seed."""
        notes: list[str] = []
        try:
            memory = self._cache.memory()
            notes += [f"{self._cache.folder / name} is damaged" for name in memory.damaged]
            self._raise_floor(memory.floor)
            loaded = self._cache.load(lambda generation: self._verified(generation, memory.denied))
        except (HoldfastError, OSError) as error:
            notes.append(f"the cache cannot be used: {error}")
            loaded = None
        else:
            if loaded is not None:
                accepted = loaded.value
                notes += loaded.rejected
                return self._told(_in_force(accepted, tuple(notes)))
        return self._told(self._of_seed(tuple(notes)))

    def _of_seed(self, notes: tuple[str, ...]) -> InForce:
        if self._seed is None:
            return InForce(policy=None, notes=notes)
        denied: frozenset[Pin] = frozenset()
        with suppress(HoldfastError, OSError):  # which was told already
            denied = denials_in(self._seed.epoch, self._cache.memory().denied)
        deny = DenyList(serial=1, denied=denied)
        policy, more = effective_policy(self._seed.policy, deny, None, self._now())
        return InForce(
            policy=policy,
            epoch=self._seed.epoch,
            serial=self._seed.serial,
            notes=(*notes, *more),
        )

    def _verified(self, generation: Generation, denied: frozenset[str]) -> Accepted:
        files = verify_kept(
            root=self._root,
            now=generation.verified_at,
            metadata=generation.metadata,
            targets=generation.targets,
        )
        return self._accept(files, generation.verified_at, denied)

    def _accept(self, files: SignedFiles, now: datetime, denied: frozenset[str]) -> Accepted:
        given = _given(files)
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
            kept=denied,
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
        self._in_force = self._told(after)

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
