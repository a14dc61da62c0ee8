"""Publishing: policies, denied keys, break-glass and new keys, as signed updates.

Nothing is published that clients would refuse: it is measured as they measure it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import Problem, UpdateError
from holdfast.pins.host_pins import HostPins
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
from holdfast.updates.document_text import refusal
from holdfast.updates.effective import effective_policy
from holdfast.updates.host_publisher import HostPublisher, host_pins_problems
from holdfast.updates.key_card import owner_of
from holdfast.updates.publication import (
    HostPublication,
    Publication,
    RoleStatus,
    other_candidate,
    serial_after,
)
from holdfast.updates.publication_lock import publishing
from holdfast.updates.repository import Holder, Repository
from holdfast.updates.request_check import check_request, differences
from holdfast.updates.request_signatures import merged
from holdfast.updates.roles import DELEGATED, ONLINE, ROLES, RoleRule
from holdfast.updates.roll_out import SALT_BYTES, Candidate
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.signed_files import EPOCH_FIELD, epoch_of
from holdfast.updates.staged_repository import StagedRepository
from holdfast.updates.weakening import changes, may_be_made_by_pins_role

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from holdfast.updates.repository_settings import RepositorySettings
    from holdfast.updates.request import Request

__all__ = ["HostPublication", "Publication", "Publisher", "RoleStatus"]

_SIGN_NEW_KEYS = {
    "root": ("root",),
    "targets": ("root", "targets", *ONLINE),
    "snapshot": ("root", *ONLINE),
    "timestamp": ("root", "timestamp"),
}


class Publisher:
    """Publishes in one repository."""

    def __init__(self, repository: Repository) -> None:
        """Take a repository; see `opened` and `created`."""
        self._repository = repository
        self._hosts = HostPublisher(repository)

    @classmethod
    def opened(
        cls,
        folder: Path,
        signers: Mapping[str, Signer],
        now: datetime,
        request: Path | None = None,
    ) -> Self:
        """Open a repository, as `Repository.opened` does.

        Args:
            folder: Where it is.
            signers: The keys at hand, by key id.
            now: The time, with an offset.
            request: Where to write what is to be signed, instead of publishing it.
        """
        if request is None:
            return cls(Repository.opened(folder, signers, now))
        staged = StagedRepository.opened(folder, signers, now)
        staged.to = request
        return cls(staged)

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
        keys: Mapping[str, Sequence[Holder]],
        rules: Mapping[str, RoleRule],
        now: datetime,
        request: Path | None = None,
    ) -> Publisher:
        """Make a repository with an empty deny list and no policy; see `Repository.created`."""
        repository: Repository
        if request is None:
            repository = Repository.created(folder, keys, rules, now)
        else:
            repository = staged = StagedRepository.created(folder, keys, rules, now)
            staged.to = request
        repository.put("emergency", DENY_TARGET, deny_list_to_bytes(DenyList(serial=1)))
        repository.write(ROLES, by=0)
        return cls(repository)

    @classmethod
    def publish_requests(
        cls,
        folder: Path,
        requests: Sequence[Request],
        signers: Mapping[str, Signer],
        now: datetime,
    ) -> tuple[str, ...]:
        """Publish what people have signed, with the snapshot and timestamp of here.

        Args:
            folder: The repository; where the request makes a new one, its folder.
            requests: Copies of one request, whose signatures are put together.
            signers: The keys at hand, by key id.
            now: The time, with an offset.

        Returns:
            The roles that have signed.

        Raises:
            UpdateError: The request is of another repository or of an older state, signatures are
                missing, or clients would refuse it. Nothing was published.
            PolicyError: A file in it could be used by no client. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        request = merged(requests)
        if request.roots:
            repository = Repository.opened(folder, signers, now)
        else:
            repository = Repository.begun(folder, signers, now)
        check_request(request, repository)
        repository.write_signed(request.after, request.files)
        return (*request.after, *ONLINE)

    @property
    def settings(self) -> RepositorySettings:
        """How the repository is to be signed."""
        return self._repository.settings

    @property
    def root(self) -> bytes:
        """The newest root metadata, to be shipped with applications."""
        return self._repository.bytes_of("root")

    @property
    def epoch(self) -> int:
        """In which bundles are counted."""
        return epoch_of(self._repository.signed("targets"))

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
        """Publish a policy for everybody; with it a candidate is gone.

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
        serial = serial_after(before)
        bundle = Bundle(serial=serial, issued=self._repository.now, refresh=refresh, policy=policy)
        content = bundle_to_bytes(bundle)
        signing = ["pins"]
        if beyond := self.beyond_pins(policy):
            if not rules:
                raise UpdateError(
                    f"more than pins changes, which the offline keys have to sign: {beyond}",
                    hint="publish it with --rules, where the keys of `targets` are",
                )
            self._hosts.check(bundle.policy)
            self._repository.put("targets", POLICY_TARGET, content)
            signing.append("targets")
        self._repository.put("pins", PINS_TARGET, content)
        self._repository.write((*signing, "snapshot", "timestamp"))
        told = changes(before.policy, bundle.policy) if before is not None else ()
        return Publication(
            serial, told, (*signing, *ONLINE), dropped=other_candidate(before, bundle.policy)
        )

    def roll_out(self, policy: Policy, *, basis_points: int, refresh: timedelta) -> Publication:
        """Publish a policy for some clients, as a candidate beside the stable one.

        The same candidate keeps its salt: with more basis points the clients that have it keep it.

        Args:
            policy: What these clients are to follow.
            basis_points: Of how many of 10,000 clients it is the policy; 0 takes it back.
            refresh: How long all clients wait before they ask again.

        Raises:
            UpdateError: There is no stable policy, it is the same, more than pins changes, or keys
                are missing. Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before = self.bundle()
        measure = self._bundle("targets", POLICY_TARGET)
        if before is None or measure is None:
            raise UpdateError(
                "there is no stable policy beside which it could be rolled out",
                hint="publish one for everybody first, without --percent",
            )
        told = changes(before.policy, policy)
        if not told:
            raise UpdateError(
                "this is what the stable policy says already",
                hint="name the new policy; publishing without --percent drops a candidate",
            )
        found = changes(measure.policy, policy)
        if not may_be_made_by_pins_role(found):
            raise UpdateError(
                f"more than pins changes, which is not rolled out in steps: {in_words(found)}",
                hint="publish the rules for everybody with --rules first, then the pins",
            )
        dropped = other_candidate(before, policy)
        kept = before.candidate if dropped is None else None
        candidate = Candidate(
            policy=policy,
            basis_points=basis_points,
            salt=secrets.token_bytes(SALT_BYTES) if kept is None else kept.salt,
        )
        bundle = replace(
            before,
            serial=serial_after(before),
            issued=self._repository.now,
            refresh=refresh,
            candidate=candidate,
        )
        self._repository.put("pins", PINS_TARGET, bundle_to_bytes(bundle))
        signing = ("pins", *ONLINE)
        self._repository.write(signing)
        return Publication(bundle.serial, told, signing, candidate, dropped)

    def publish_hosts(
        self, hosts: Mapping[str, HostPins | None], *, changes: bool, index: bool | None = None
    ) -> HostPublication:
        """Publish the pins of single hosts, which satisfy the sets that cover them.

        Args:
            hosts: Their pins by canonical host; None, among changes, for a host that is to have
                none of its own any more.
            changes: Whether the hosts that are not named stay as they are.
            index: Whether there is to be a file of all of them; by default as it was.

        Raises:
            UpdateError: There is no policy yet, or keys are missing. Nothing was published.
            PolicyError: A host does not fit the policy. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        bundle = self.bundle()
        if bundle is None:
            raise UpdateError("there is no policy yet", hint="publish one first")
        wanted = {host: pins for host, pins in hosts.items() if pins is not None}
        problems: list[Problem] = []
        for host, pins in wanted.items():
            problems += host_pins_problems(host, pins, bundle.policy)
        if problems:
            raise refusal(problems, "host pins")
        if changes:
            bins = self._hosts.change(hosts, index=index)
        else:
            bins = self._hosts.replace(wanted, index=index)
        # A serial of its own: nothing older is accepted afterwards, and it can be asked for.
        after = replace(bundle, serial=serial_after(bundle), issued=self._repository.now)
        self._repository.put("pins", PINS_TARGET, bundle_to_bytes(after))
        self._repository.write(("pins", *ONLINE))
        self._hosts.forget_replaced()
        return HostPublication(after.serial, self._hosts.count, bins, self._hosts.has_index)

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
        self._hosts.check(policy)
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
        self._repository.write((*signing, *ONLINE))
        told = changes(before.policy, bundle.policy) if before is not None else ()
        dropped = other_candidate(before, policy)
        return Publication(1, told, (*signing, *ONLINE), dropped=dropped)

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
        self._repository.write(("breakglass", *ONLINE))
        return after

    def rotate_keys(
        self, role: str, keys: Sequence[Holder], threshold: int | None = None
    ) -> tuple[str, ...]:
        """Give a role new keys.

        Args:
            role: Which.
            keys: As many as `repository.toml` says: what signs with them, or, of people who are
                elsewhere, the public halves.
            threshold: How many have to sign from now on; by default as `repository.toml` says.

        Returns:
            The roles that have signed: the one that says whose the role is, and the role itself.

        Raises:
            UpdateError: There are fewer keys or more, one person has two, or those that have to
                sign are missing. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        rule = self._repository.settings.roles[role]
        if len(keys) != rule.keys:
            raise UpdateError(
                f"{role} has {rule.keys} keys, and {len(keys)} are new",
                hint="repository.toml says how many there are",
            )
        self._repository.exchange_keys(role, keys, threshold or rule.threshold)
        # No more than it takes: the keys of the others may be lost too.
        signing = _SIGN_NEW_KEYS.get(role) or tuple(dict.fromkeys(("targets", role, *ONLINE)))
        if role == "pins":
            self._repository.require(signing)  # before a bin is written
            self._hosts.sign_again()
        self._repository.write(signing)
        return signing

    def resign(self, roles: Sequence[str] = ()) -> tuple[str, ...]:
        """Sign again: some roles, or the timestamp and whatever is in the last third of its time.

        Args:
            roles: Which; without them, only roles whose keys are at hand are signed. Run that each
                hour.

        Returns:
            The roles that have signed.

        Raises:
            UpdateError: Keys are missing.
            OSError: It cannot be written. What was served still is.
        """
        due = [role for role in ("root", "targets", *DELEGATED) if self._is_due(role)]
        signing = list(roles) or [role for role in due if self._repository.has_enough(role)]
        if self._repository.has_enough("pins") and self._hosts.sign_again(only_due=True):
            signing = list(dict.fromkeys((*signing, "pins")))
        if {*signing} - {"root"} or self._is_due("snapshot"):
            signing.append("snapshot")
        signing.append("timestamp")
        signing = list(dict.fromkeys(signing))
        self._repository.write(signing)
        return tuple(signing)

    def status(self) -> tuple[RoleStatus, ...]:
        """Return how each role stands.

        Raises:
            PolicyError: A card that `repository.toml` names cannot be read.
        """
        return tuple(
            RoleStatus(
                role,
                self._repository.signed(role).version,
                self._repository.signed(role).expires,
                self._repository.rule(role).threshold,
                len(self._repository.rule(role).keyids),
                len(self._repository.at_hand(role)),
                tuple(map(owner_of, self._repository.keys(role))),
                tuple(
                    differences(
                        role,
                        self._repository.delegator(role),
                        self._repository.settings,
                        self._repository.folder,
                    )
                ),
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
