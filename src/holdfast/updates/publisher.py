"""Publishing: policies, denied keys, break-glass and new keys, as signed updates.

Nothing is published that clients would refuse: it is measured as they measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.document import (
    BREAK_GLASS_TARGET,
    DENY_TARGET,
    PINS_TARGET,
    POLICY_TARGET,
    BreakGlass,
    Bundle,
    DenyList,
    break_glass_from_bytes,
    break_glass_to_bytes,
    bundle_from_bytes,
    bundle_to_bytes,
    deny_list_from_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.document_text import MAX_SERIAL
from holdfast.updates.effective import effective_policy
from holdfast.updates.publication_lock import publishing
from holdfast.updates.repository import Repository
from holdfast.updates.roles import DELEGATED, ROLES, RoleRule
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.signed_files import EPOCH_FIELD
from holdfast.updates.weakening import Change, changes, may_be_made_by_pins_role

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["Publication", "Publisher", "RoleStatus"]

_ONLINE = ("snapshot", "timestamp")
_SIGN_NEW_KEYS = {
    "root": ("root",),
    "targets": ("root", "targets", *_ONLINE),
    "snapshot": ("root", *_ONLINE),
    "timestamp": ("root", "timestamp"),
}


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes:
        serial: Of the bundle.
        changes: Beside what was published before; what weakens stands first.
        signed: The roles that have signed.
    """

    serial: int
    changes: tuple[Change, ...]
    signed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """How a role stands.

    Attributes:
        role: Its name.
        version: Of its metadata.
        expires: When it has to be signed again, with an offset.
        threshold: How many signatures it takes.
        keys: How many keys there are.
        at_hand: How many of them are here.
    """

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: int
    at_hand: int


class Publisher:
    """Publishes in one repository."""

    def __init__(self, repository: Repository) -> None:
        """Take a repository; see `opened` and `created`."""
        self._repository = repository

    @classmethod
    def opened(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Self:
        """Open a repository, as `Repository.opened` does."""
        return cls(Repository.opened(folder, signers, now))

    @classmethod
    @contextmanager
    def locked(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Iterator[Self]:
        """Open a repository, and keep others from publishing in it meanwhile.

        Raises:
            UpdateError: There is none, it cannot be read, or others are still publishing.
            OSError: The folder cannot be written.
        """
        with publishing(folder):
            repository = Repository.opened(folder, signers, now)
            repository.is_locked = True
            yield cls(repository)

    @classmethod
    def created(
        cls,
        folder: Path,
        keys: Mapping[str, Sequence[Signer]],
        rules: Mapping[str, RoleRule],
        now: datetime,
    ) -> Publisher:
        """Make a repository with an empty deny list and no policy; see `Repository.created`."""
        repository = Repository.created(folder, keys, rules, now)
        repository.put("emergency", DENY_TARGET, deny_list_to_bytes(DenyList(serial=1)))
        repository.write(ROLES, by=0)
        return cls(repository)

    @property
    def root(self) -> bytes:
        """The newest root metadata, to be shipped with applications."""
        return self._repository.bytes_of("root")

    @property
    def epoch(self) -> int:
        """In which bundles are counted."""
        targets = self._repository.signed("targets")
        return int(targets.unrecognized_fields.get(EPOCH_FIELD, 1))

    def bundle(self) -> Bundle | None:
        """Return the bundle that is published, or None before the first."""
        return self._bundle("pins", PINS_TARGET)

    def denied(self) -> DenyList:
        """Return the deny list that is published."""
        return deny_list_from_bytes(self._repository.content("emergency", DENY_TARGET) or b"")

    def beyond_pins(self, policy: Policy) -> str:
        """Say what of a policy the offline keys have to sign; nothing where pins alone change."""
        measure = self._bundle("targets", POLICY_TARGET)
        if measure is None:
            return "it is the first"
        found = changes(measure.policy, policy)
        return "" if may_be_made_by_pins_role(found) else in_words(found)

    def publish(self, policy: Policy, *, refresh: timedelta, rules: bool = False) -> Publication:
        """Publish a policy.

        Args:
            policy: What is to be in force.
            refresh: How long clients wait before they ask again.
            rules: Whether more than pins may change; then the offline keys have to be at hand.

        Raises:
            UpdateError: More than pins changes, or keys are missing. Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before = self.bundle()
        serial = before.serial + 1 if before is not None else 1
        if serial > MAX_SERIAL:
            raise UpdateError(
                f"no serial is left: {serial - 1} is published, which is the last",
                hint="begin a new epoch with the offline keys: `holdfast updates new-epoch`",
            )
        bundle = Bundle(serial=serial, issued=self._repository.now, refresh=refresh, policy=policy)
        content = bundle_to_bytes(bundle)
        signing = ["pins"]
        if beyond := self.beyond_pins(policy):
            if not rules:
                raise UpdateError(
                    f"more than pins changes, which the offline keys have to sign: {beyond}",
                    hint="publish it with --rules, where the keys of `targets` are",
                )
            self._repository.put("targets", POLICY_TARGET, content)
            signing.append("targets")
        self._repository.put("pins", PINS_TARGET, content)
        self._repository.write((*signing, "snapshot", "timestamp"))
        told = changes(before.policy, bundle.policy) if before is not None else ()
        return Publication(serial, told, (*signing, "snapshot", "timestamp"))

    def deny(self, keys: Iterable[Pin]) -> DenyList:
        """Deny keys, beside those that are denied.

        Raises:
            UpdateError: The keys of `emergency` are missing. Nothing was published.
            PolicyError: An entry is no key pin.
            OSError: It cannot be written. What was served still is.
        """
        before = self.denied()
        after = DenyList(serial=before.serial + 1, denied=before.denied.union(keys))
        self._repository.put("emergency", DENY_TARGET, deny_list_to_bytes(after))
        self._repository.write(("emergency", "snapshot", "timestamp"))
        return after

    def new_epoch(
        self, policy: Policy, *, refresh: timedelta, lift: Iterable[Pin] = ()
    ) -> Publication:
        """Publish a policy as the first of a new epoch: what came before counts no longer.

        It undoes a serial that a thief has used up, and denials. The rest of the deny list holds in
        the new epoch, since clients take it from the file.

        Args:
            policy: What is to be in force. More than pins may change.
            refresh: How long clients wait before they ask again.
            lift: Keys to be denied no longer; then the keys of `emergency` have to be at hand.

        Raises:
            UpdateError: A key is not denied, the policy itself denies it, or keys are missing.
                Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before, denied, lifted = self.bundle(), self.denied(), frozenset(lift)
        for pin in sorted(lifted, key=str):
            if pin not in denied.denied:
                raise UpdateError(f"{pin} is not denied", hint="check the pins to be lifted")
            if pin in policy.denied:
                raise UpdateError(
                    f"{pin} stands in `denied` of the policy", hint="remove it there too"
                )
        bundle = Bundle(serial=1, issued=self._repository.now, refresh=refresh, policy=policy)
        content = bundle_to_bytes(bundle)
        signing = ["pins", "targets"]
        if lifted:
            after = DenyList(serial=denied.serial + 1, denied=denied.denied - lifted)
            self._repository.put("emergency", DENY_TARGET, deny_list_to_bytes(after))
            signing.append("emergency")
        self._repository.signed("targets").unrecognized_fields[EPOCH_FIELD] = self.epoch + 1
        self._repository.put("targets", POLICY_TARGET, content)
        self._repository.put("pins", PINS_TARGET, content)
        self._repository.write((*signing, *_ONLINE))
        told = changes(before.policy, bundle.policy) if before is not None else ()
        return Publication(1, told, (*signing, *_ONLINE))

    def break_glass(self, until: Mapping[str, datetime]) -> BreakGlass:
        """Let sets be report-only until a time; the sets that are not named are so no longer.

        Args:
            until: By the name of the set, with an offset, at most seven days ahead.

        Raises:
            UpdateError: It would have no effect on a set, or the keys of `breakglass` are missing.
                Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        bundle, before = self.bundle(), self._repository.content("breakglass", BREAK_GLASS_TARGET)
        serial = 1 if before is None else break_glass_from_bytes(before).serial + 1
        after = BreakGlass(serial=serial, until=until)
        if bundle is None:
            raise UpdateError("there is no policy yet", hint="publish one first")
        _, notes = effective_policy(bundle.policy, None, after, self._repository.now)
        if notes:
            raise UpdateError("; ".join(notes))
        self._repository.put("breakglass", BREAK_GLASS_TARGET, break_glass_to_bytes(after))
        self._repository.write(("breakglass", *_ONLINE))
        return after

    def rotate_keys(self, role: str, keys: Sequence[Signer]) -> tuple[str, ...]:
        """Give a role new keys, as many as it has.

        Returns:
            The roles that have signed: the one that says whose the role is, and the role itself.

        Raises:
            UpdateError: There are fewer keys than before, or those that have to sign are missing.
                Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        number = len(self._repository.rule(role).keyids)
        if len(keys) != number:
            raise UpdateError(f"{role} has {number} keys, and {len(keys)} are new")
        self._repository.exchange_keys(role, keys)
        # No more than it takes: the keys of the others may be lost too.
        signing = _SIGN_NEW_KEYS.get(role) or tuple(dict.fromkeys(("targets", role, *_ONLINE)))
        self._repository.write(signing)
        return signing

    def resign(self) -> tuple[str, ...]:
        """Sign the timestamp again, and with it whatever is in the last third of its time.

        Only roles whose keys are at hand are signed. Run it each hour.

        Returns:
            The roles that have signed.

        Raises:
            UpdateError: The key of the timestamp is missing.
            OSError: It cannot be written. What was served still is.
        """
        due = [role for role in ("root", "targets", *DELEGATED) if self._is_due(role)]
        signing = [role for role in due if self._repository.has_enough(role)]
        if {*signing} - {"root"} or self._is_due("snapshot"):
            signing.append("snapshot")
        signing.append("timestamp")
        self._repository.write(signing)
        return tuple(signing)

    def status(self) -> tuple[RoleStatus, ...]:
        """Return how each role stands."""
        return tuple(
            RoleStatus(
                role,
                self._repository.signed(role).version,
                self._repository.signed(role).expires,
                self._repository.rule(role).threshold,
                len(self._repository.rule(role).keyids),
                len(self._repository.at_hand(role)),
            )
            for role in ROLES
        )

    def _is_due(self, role: str) -> bool:
        left: timedelta = self._repository.signed(role).expires - self._repository.now
        return left < timedelta(days=self._repository.days(role)) / 3

    def _bundle(self, role: str, path: str) -> Bundle | None:
        content = self._repository.content(role, path)
        if content is None:
            return None
        return bundle_from_bytes(content, now=self._repository.now, source=path)
