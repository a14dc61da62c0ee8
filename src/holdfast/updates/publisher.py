"""Publishing as signed updates: how a repository is opened, and what is small in it.

Policies are in `policy_publisher`, new keys and signatures in `key_upkeep`; here are denied keys,
break-glass and the pins of single hosts. Nothing is published that clients would refuse: it is
measured as they measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import Problem, UpdateError
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin import Pin
from holdfast.updates.document import (
    BREAK_GLASS_TARGET,
    DENY_TARGET,
    PINS_TARGET,
    BreakGlass,
    DenyList,
    break_glass_from_bytes,
    break_glass_to_bytes,
    bundle_to_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.document_text import refusal
from holdfast.updates.effective import effective_policy
from holdfast.updates.host_publisher import host_pins_problems
from holdfast.updates.key_upkeep import KeyUpkeep
from holdfast.updates.policy_publisher import PolicyPublisher
from holdfast.updates.publication import (
    HostPublication,
    Publication,
    RoleStatus,
    serial_after,
)
from holdfast.updates.publication_lock import publishing
from holdfast.updates.repository import Repository
from holdfast.updates.request_check import check_request
from holdfast.updates.request_signatures import merged
from holdfast.updates.roles import ONLINE, ROLES, RoleRule
from holdfast.updates.signed_roles import Holder
from holdfast.updates.staged_repository import StagedRepository

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from holdfast.updates.request import Request

__all__ = ["HostPublication", "Publication", "Publisher", "RoleStatus"]


class Publisher(PolicyPublisher, KeyUpkeep):
    """Publishes everything in one repository."""

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
            UpdateError: There is no policy yet, keys are missing, or others are publishing or have
                since this was opened. Nothing was published.
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
        # A serial of its own: nothing older is accepted afterwards, and it can be asked for.
        after = replace(bundle, serial=serial_after(bundle), issued=self._repository.now)
        with self._repository.alone():  # bins of others would be published as these otherwise
            if changes:
                bins = self._hosts.change(hosts, index=index)
            else:
                bins = self._hosts.replace(wanted, index=index)
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
