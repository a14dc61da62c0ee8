"""Publishing the pins of many hosts: in bins, and in one file for those who need all of them.

1. Only what has changed is signed again, and written before a snapshot names it.
2. Bins last a year. What keeps clients from older ones is the snapshot, which names the version of
   each and lasts days; a new key of `pins` signs all of them anew.
3. What has been replaced is served for a day longer.
4. Nothing is published that clients would refuse: each host has to satisfy the set that covers it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tuf.api.metadata import Delegations, Metadata, SuccinctRoles, Targets

from holdfast.errors import Problem, UpdateError
from holdfast.pins.host_pins import HostPins, misfits, read_host_pins, write_host_pins
from holdfast.pins.pin import quoted
from holdfast.pins.policy import Policy
from holdfast.updates.document_text import refusal
from holdfast.updates.host_bins import (
    HOSTS_FIELD,
    INDEX_TARGET,
    ROLE_FIELD,
    bins_of,
    bits_for,
    is_bin,
    layout,
    path_of,
    table_of,
)
from holdfast.updates.host_index import change_index, write_index
from holdfast.updates.repository import Repository

__all__ = ["HostPublisher", "host_pins_problems"]

_SUMMARY = "x-holdfast-bins"  # of the role `pins`: how many hosts, and when the first bin expires
_LASTS = timedelta(days=365)
_STILL_SERVED = 86400.0  # seconds
_RESTORE = "restore the repository, or publish all host pins again"
_Tables = dict[str, dict[str, object]]


class HostPublisher:
    """The host pins of one repository."""

    def __init__(self, repository: Repository) -> None:
        """Take a repository."""
        self._repository = repository

    @property
    def count(self) -> int:
        """How many hosts have pins of their own."""
        return int(self._pins.unrecognized_fields.get(_SUMMARY, {}).get("hosts", 0))

    @property
    def has_index(self) -> bool:
        """Whether there is a file of all of them."""
        return INDEX_TARGET in self._pins.targets

    def hosts(self) -> Iterator[tuple[str, HostPins]]:
        """Yield all hosts and their pins.

        Raises:
            UpdateError: A bin cannot be read.
        """
        for role in self._roles():
            problems: list[Problem] = []
            for host, entry in table_of(self._read(role), role).items():
                pins = read_host_pins(entry, host, problems)
                if pins is not None:
                    yield host, pins
            if problems:
                raise UpdateError(f"{role} has mistakes: {problems[0]}", hint=_RESTORE)

    def check(self, policy: Policy) -> None:
        """Hold all hosts against a policy that is to be published.

        Raises:
            PolicyError: The pins of some break a rule of the set that covers them, or none does.
            UpdateError: A bin cannot be read.
        """
        problems: list[Problem] = []
        for host, pins in self.hosts():
            problems += host_pins_problems(host, pins, policy)
        if problems:
            raise refusal(problems, "the host pins that are published")

    def replace(self, hosts: Mapping[str, HostPins], *, index: bool | None = None) -> int:
        """Let these hosts have pins of their own, and no others.

        It is in force once the role `pins` and the snapshot are written.

        Args:
            hosts: Their pins by canonical host.
            index: Whether there is to be a file of all of them; by default as it was.

        Returns:
            How many bins were signed.

        Raises:
            UpdateError: The keys of `pins` are missing.
            OSError: It cannot be written. What was served still is.
        """
        before = bins_of(self._pins)
        bins = self._delegate(bits_for(len(hosts), before.bit_length if before else None))
        tables: _Tables = {role: {} for role in bins.get_roles()}
        for host, pins in hosts.items():
            tables[bins.get_role_for_target(path_of(host))][host] = write_host_pins(pins)
        if before is not None and before.bit_length == bins.bit_length:
            tables = {role: table for role, table in tables.items() if self._differs(role, table)}
        self._write(tables)
        self._note(len(hosts), self._repository.now + _LASTS)
        if self.has_index if index is None else index:
            with self._draft() as draft:
                write_index(draft, sorted(hosts.items()))
        else:
            self._pins.targets.pop(INDEX_TARGET, None)
        return len(tables)

    def change(self, changes: Mapping[str, HostPins | None], *, index: bool | None = None) -> int:
        """Change the pins of some hosts; those with None have none of their own any more.

        Otherwise as `replace`, to which it comes where the bins are too few, or no file is there.

        Raises:
            UpdateError: The keys of `pins` are missing, or a bin cannot be read.
            OSError: It cannot be written. What was served still is.
        """
        bins = bins_of(self._pins)
        if bins is None or (index and not self.has_index):
            return self._replace_with(changes, index=index)
        tables: _Tables = {}
        changed = set()
        count = self.count
        for host, pins in changes.items():
            role = bins.get_role_for_target(path_of(host))
            if role not in tables:
                tables[role] = dict(table_of(self._read(role), role))
            before = tables[role].pop(host, None)
            after = None if pins is None else write_host_pins(pins)
            if after is not None:
                tables[role][host] = after
            if before != after:
                changed.add(role)
            count += (after is not None) - (before is not None)
        if bits_for(count, bins.bit_length) != bins.bit_length:
            return self._replace_with(changes, index=index)
        self._write({role: tables[role] for role in changed})
        self._note(count, self._repository.now + _LASTS)
        if index is False:
            self._pins.targets.pop(INDEX_TARGET, None)
        elif self.has_index and changed:
            published = self._repository.path_of("pins", INDEX_TARGET)
            with self._draft() as draft:
                shutil.copyfile(published, draft)
                change_index(draft, changes)
        return len(changed)

    def sign_again(self, *, only_due: bool = False) -> int:
        """Sign bins again, with the keys that `pins` has now.

        Args:
            only_due: Whether only those that are in the last third of their time.

        Returns:
            How many; if any, the role `pins` and the snapshot have to be written.

        Raises:
            UpdateError: The keys of `pins` are missing, or a bin cannot be read.
            OSError: It cannot be written. What was served still is.
        """
        bins = bins_of(self._pins)
        due = self._repository.now + _LASTS / 3 if only_due else datetime.max.replace(tzinfo=UTC)
        if bins is None or self._first_expiry() > due:
            return 0
        self._delegate(bins.bit_length)
        tables: _Tables = {}
        left = [self._repository.now + _LASTS]
        for role in self._roles():
            metadata = self._read(role)
            if metadata.expires <= due:
                tables[role] = dict(table_of(metadata, role))
            else:
                left.append(metadata.expires)
        self._write(tables)
        self._pins.unrecognized_fields[_SUMMARY]["expires"] = min(left).isoformat()
        return len(tables)

    def forget_replaced(self) -> None:
        """Remove bins and files of all hosts that were replaced more than a day ago.

        Until then a client may be about to fetch them; after that each would only take room.
        """
        folder = self._repository.folder
        ends = (folder / "metadata" / "timestamp.json").stat().st_mtime - _STILL_SERVED
        versions: dict[str, dict[int, Path]] = {}
        for path in (folder / "metadata").glob("*.hosts-*.json"):
            number, _, role = path.stem.partition(".")
            if is_bin(role) and number.isdecimal() and int(number) <= self._version(role):
                versions.setdefault(role, {})[int(number)] = path
        rows = [[path for _, path in sorted(one.items())] for one in versions.values()]
        if self.has_index:
            now = self._repository.path_of("pins", INDEX_TARGET)
            former = [path for path in now.parent.glob("*.hosts.sqlite") if path != now]
            rows.append([*sorted(former, key=_written), now])
        for row in rows:
            for path, successor in pairwise(row):
                if _written(successor) < ends:
                    path.unlink()

    @property
    def _pins(self) -> Targets:
        pins: Targets = self._repository.signed("pins")
        return pins

    def _roles(self) -> Iterator[str]:
        bins = bins_of(self._pins)
        return iter(()) if bins is None else bins.get_roles()

    def _first_expiry(self) -> datetime:
        return datetime.fromisoformat(self._pins.unrecognized_fields[_SUMMARY]["expires"])

    def _note(self, count: int, expires: datetime) -> None:
        """Keep what would take reading all bins to know; the earlier expiry of those that stay."""
        summary = self._pins.unrecognized_fields.get(_SUMMARY)
        if summary is not None:
            expires = min(expires, self._first_expiry())
        self._pins.unrecognized_fields[_SUMMARY] = {"hosts": count, "expires": expires.isoformat()}

    def _replace_with(self, changes: Mapping[str, HostPins | None], *, index: bool | None) -> int:
        merged: dict[str, HostPins | None] = {**dict(self.hosts()), **changes}
        return self.replace(
            {host: pins for host, pins in merged.items() if pins is not None}, index=index
        )

    def _delegate(self, bits: int) -> SuccinctRoles:
        """Let `pins` delegate to bins, with its own keys and threshold."""
        rule = self._repository.rule("pins")
        keys = self._repository.signed("targets").delegations.keys
        bins = layout(bits, list(rule.keyids), rule.threshold)
        self._pins.delegations = Delegations(
            {keyid: keys[keyid] for keyid in rule.keyids}, succinct_roles=bins
        )
        return bins

    def _read(self, role: str) -> Targets:
        """Return a bin as it is published."""
        version = self._version(role)
        path = self._repository.folder / "metadata" / f"{version}.{role}.json"
        try:
            return Metadata[Targets].from_file(str(path)).signed
        except Exception as error:  # whatever a damaged file makes python-tuf raise
            raise UpdateError(f"{path} cannot be read: {error}", hint=_RESTORE) from error

    def _differs(self, role: str, table: Mapping[str, object]) -> bool:
        """Tell whether a bin is published with another table, or damaged."""
        try:
            return table != table_of(self._read(role), role)
        except UpdateError:
            return True

    def _version(self, role: str) -> int:
        meta = self._repository.signed("snapshot").meta.get(f"{role}.json")
        return 0 if meta is None else meta.version

    def _write(self, tables: _Tables) -> None:
        expires = self._repository.now + _LASTS
        self._repository.write_delegated(
            "pins",
            (
                (
                    role,
                    Metadata(
                        Targets(
                            self._version(role) + 1,
                            expires=expires,
                            unrecognized_fields={ROLE_FIELD: role, HOSTS_FIELD: table},
                        )
                    ),
                )
                for role, table in tables.items()
            ),
        )

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Yield where to write a file of all hosts, and publish it."""
        folder = self._repository.folder / ".draft"
        shutil.rmtree(folder, ignore_errors=True)  # of a publication that was killed
        folder.mkdir()
        try:
            yield folder / "hosts.sqlite"
            self._repository.put_file("pins", INDEX_TARGET, folder / "hosts.sqlite")
        finally:
            shutil.rmtree(folder)


def _written(path: Path) -> float:
    return path.stat().st_mtime


def host_pins_problems(host: str, pins: HostPins, policy: Policy) -> list[Problem]:
    """Say why clients would refuse the pins of a canonical host, or would not look at them.

    Args:
        host: The host.
        pins: Its pins.
        policy: The policy that is published; it has no host pins.
    """
    pin_set = policy.pin_set_for(host)
    if pin_set is None:
        fix = "add a pattern for it to a set, or leave it out"
        return [Problem(quoted(host), "no set of the policy covers the host", fix)]
    return misfits({host: pins}, {host: pin_set})
