"""A client of signed updates as it starts: what is in force, from the cache or the seed.

1. Starting asks no network. What is kept is verified again, each time.
2. A cache that cannot be used leaves the seed, and an alarm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import CacheError, HoldfastError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.policy import OnStale, Policy
from holdfast.updates.accept import Accepted, denials_in
from holdfast.updates.acceptance import Acceptance
from holdfast.updates.document import DenyList
from holdfast.updates.effective import effective_policy
from holdfast.updates.freshness import Floor, State, trusted_now
from holdfast.updates.in_force import InForce, in_force_of, report_only
from holdfast.updates.installation import new_installation
from holdfast.updates.memory import NO_FLOOR
from holdfast.updates.working_copy import verify_kept

if TYPE_CHECKING:
    from holdfast.updates.cache import Cache
    from holdfast.updates.generations import Generation
    from holdfast.updates.seed import Seed
    from holdfast.updates.signed_files import SignedFiles
    from holdfast.updates.signed_hosts import Wanted

__all__ = ["StartedClient"]

_log = logging.getLogger("holdfast.updates")


class StartedClient:
    """What a client has in force and remembers."""

    def __init__(
        self,
        *,
        root: bytes,
        cache: Cache,
        seed: Seed | None,
        allow_weakening: bool,
        hard_limit: timedelta,
        wanted: Wanted,
        clock: Callable[[], datetime],
    ) -> None:
        """Load what is kept; the arguments are those of `UpdateClient`."""
        self._root, self._cache, self._seed = root, cache, seed
        self._acceptance = Acceptance(
            None if seed is None else seed.policy, allow_weakening=allow_weakening
        )
        self._hard_limit, self._wanted, self._clock = hard_limit, wanted, clock
        self._floor = (
            NO_FLOOR if seed is None else replace(NO_FLOOR, epoch=seed.epoch, serial=seed.serial)
        )
        self._installation = new_installation()  # for this process, where none is kept
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
            kept = self._relaxed = in_force.policy, report_only(in_force.policy)
        return kept[1]

    def follow(self, hosts: Iterable[str]) -> None:
        """Ask for the pins of more hosts, in canonical form, from the next refresh on."""
        self._wanted = self._wanted._replace(hosts=self._wanted.hosts.union(hosts))

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
        return in_force_of(accepted, (*notes, *loaded.rejected))

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
        return self._acceptance.of(
            files,
            floor=self._floor,
            kept=self._denied,
            installation=self._installation,
            now=now,
        )

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
