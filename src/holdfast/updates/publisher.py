"""A repository of signed updates: static files in a folder, which any web server can serve.

    metadata/   N.ROLE.json for each version, and timestamp.json, which is written last
    targets/    FOLDER/HASH.NAME

1. What is served is whole at each moment: versions stand beside each other (consistent snapshots),
   and a client sees the new ones only with the timestamp.
2. Nothing is published that clients would refuse: it is measured as they measure it.
3. Each role signs with the keys at hand, and what is missing is named.
4. Old roots are never deleted: a client that was away needs each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.document import (
    DENY_TARGET,
    PINS_TARGET,
    POLICY_TARGET,
    Bundle,
    DenyList,
    bundle_from_bytes,
    bundle_to_bytes,
    deny_list_from_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.own_files import replace_file
from holdfast.updates.roles import DELEGATED, TOP_LEVEL, RoleRule
from holdfast.updates.weakening import Change, changes, may_be_made_by_pins_role

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["Publication", "Publisher", "RoleStatus"]

_PUBLIC = 0o644
_ROLES = (*TOP_LEVEL, *DELEGATED)
_Signers = Mapping[str, "Signer"]


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
    """One repository, for one process at a time."""

    def __init__(
        self, folder: Path, signers: _Signers, now: datetime, metadata: Mapping[str, Metadata[Any]]
    ) -> None:
        """Hold a repository; see `opened` and `created`."""
        self._folder, self._signers, self._now = folder, signers, now
        self._metadata = dict(metadata)
        self._changed: dict[str, bytes] = {}

    @classmethod
    def opened(cls, folder: Path, signers: _Signers, now: datetime) -> Publisher:
        """Open a repository.

        Args:
            folder: Where it is.
            signers: The keys at hand, by key id.
            now: The time, with an offset.

        Raises:
            UpdateError: There is none, or it cannot be read.
        """
        try:
            return cls(folder, signers, now, _read(folder / "metadata"))
        except Exception as error:  # whatever a damaged file makes python-tuf raise
            raise UpdateError(
                f"{folder} is no repository that can be read: {error}",
                hint="make one with `holdfast updates init`",
            ) from error

    @classmethod
    def created(
        cls,
        folder: Path,
        keys: Mapping[str, Sequence[Signer]],
        rules: Mapping[str, RoleRule],
        now: datetime,
    ) -> Publisher:
        """Make a repository with an empty deny list and no policy yet.

        Args:
            folder: Where; must not exist, or be empty.
            keys: The keys of each role.
            rules: How each role signs.
            now: The time, with an offset.

        Raises:
            UpdateError: There is something already.
            OSError: It cannot be written.
        """
        if folder.exists() and any(folder.iterdir()):
            raise UpdateError(f"{folder} is not empty", hint="name a new folder")
        for below in ("metadata", "targets"):
            (folder / below).mkdir(parents=True, exist_ok=True)
        signers = {one.public_key.keyid: one for several in keys.values() for one in several}
        made = cls(folder, signers, now, _first(keys, rules, now))
        made.begin()
        return made

    def begin(self) -> None:
        """Write the first version of each role, with an empty deny list."""
        self._list("emergency", DENY_TARGET, deny_list_to_bytes(DenyList(serial=1)))
        self._write(_ROLES, by=0)

    @property
    def root(self) -> bytes:
        """The newest root metadata, to be shipped with applications."""
        return self._metadata["root"].to_bytes()

    @property
    def epoch(self) -> int:
        """In which bundles are counted."""
        return int(self._signed("targets").unrecognized_fields.get("x-holdfast-epoch", 1))

    def bundle(self) -> Bundle | None:
        """Return the bundle that is published, or None before the first."""
        return self._bundle("pins", PINS_TARGET)

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
        measure = self._bundle("targets", POLICY_TARGET)
        serial = before.serial + 1 if before is not None else 1
        bundle = Bundle(serial=serial, issued=self._now, refresh=refresh, policy=policy)
        content = bundle_to_bytes(bundle)
        signing = ["pins"]
        found = changes(measure.policy, bundle.policy) if measure is not None else ()
        if measure is None or not may_be_made_by_pins_role(found):
            if not rules:
                raise UpdateError(
                    f"more than pins changes, which the offline keys have to sign: {_told(found)}",
                    hint="publish it with --rules, where the keys of `targets` are",
                )
            self._list("targets", POLICY_TARGET, content)
            signing.append("targets")
        self._list("pins", PINS_TARGET, content)
        self._write((*signing, "snapshot", "timestamp"))
        told = changes(before.policy, bundle.policy) if before is not None else ()
        return Publication(serial, told, (*signing, "snapshot", "timestamp"))

    def deny(self, keys: Iterable[Pin]) -> DenyList:
        """Deny keys, beside those that are denied.

        Raises:
            UpdateError: The keys of `emergency` are missing. Nothing was published.
            PolicyError: An entry is no key pin.
            OSError: It cannot be written. What was served still is.
        """
        before = deny_list_from_bytes(self._content("emergency", DENY_TARGET) or b"")
        after = DenyList(serial=before.serial + 1, denied=before.denied.union(keys))
        self._list("emergency", DENY_TARGET, deny_list_to_bytes(after))
        self._write(("emergency", "snapshot", "timestamp"))
        return after

    def resign(self) -> tuple[str, ...]:
        """Sign the timestamp again, and with it whatever is in the last third of its time.

        Only roles whose keys are at hand are signed. Run it each hour.

        Returns:
            The roles that have signed.

        Raises:
            UpdateError: The key of the timestamp is missing.
            OSError: It cannot be written. What was served still is.
        """
        due = [role for role in ("targets", *DELEGATED) if self._is_due(role)]
        signing = [role for role in due if self._has_enough(role)]
        if signing or self._is_due("snapshot"):
            signing.append("snapshot")
        signing.append("timestamp")
        self._write(signing)
        return tuple(signing)

    def status(self) -> tuple[RoleStatus, ...]:
        """Return how each role stands."""
        return tuple(
            RoleStatus(
                role,
                self._signed(role).version,
                self._signed(role).expires,
                self._rule(role).threshold,
                len(self._rule(role).keyids),
                len(self._at_hand(role)),
            )
            for role in _ROLES
        )

    def _signed(self, role: str) -> Any:  # noqa: ANN401  each role signs a type of its own
        return self._metadata[role].signed

    def _rule(self, role: str) -> Any:  # noqa: ANN401  two types with the same fields
        if role in TOP_LEVEL:
            return self._signed("root").roles[role]
        return self._signed("targets").delegations.roles[role]

    def _at_hand(self, role: str) -> list[Signer]:
        return [self._signers[one] for one in self._rule(role).keyids if one in self._signers]

    def _has_enough(self, role: str) -> bool:
        return bool(len(self._at_hand(role)) >= self._rule(role).threshold)

    def _days(self, role: str) -> int:
        return int(self._signed("root").unrecognized_fields[_DAYS][role])

    def _is_due(self, role: str) -> bool:
        left: timedelta = self._signed(role).expires - self._now
        return left < timedelta(days=self._days(role)) / 3

    def _bundle(self, role: str, path: str) -> Bundle | None:
        content = self._content(role, path)
        return None if content is None else bundle_from_bytes(content, now=self._now, source=path)

    def _content(self, role: str, path: str) -> bytes | None:
        target = self._signed(role).targets.get(path)
        return None if target is None else (self._folder / _place(target)).read_bytes()

    def _list(self, role: str, path: str, content: bytes) -> None:
        target = TargetFile.from_data(path, content, ["sha256"])
        self._signed(role).targets[path] = target
        self._changed[_place(target)] = content

    def _write(self, signing: Sequence[str], by: int = 1) -> None:
        """Sign, then write: what others refer to first, the timestamp last."""
        for role in signing:
            if not self._has_enough(role):
                rule = self._rule(role)
                raise UpdateError(
                    f"{role} takes {rule.threshold} of its {len(rule.keyids)} keys, and "
                    f"{len(self._at_hand(role))} are here",
                    hint="name the folders of the others with --keys",
                )
        order = sorted(signing, key=_ORDER.index)
        for role in order:
            self._refer(role)
            self._sign(role, by)
        for place, content in self._changed.items():
            path = self._folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, _PUBLIC)
        self._changed.clear()
        for role in order:
            version = "" if role == "timestamp" else f"{self._signed(role).version}."
            path = self._folder / "metadata" / f"{version}{role}.json"
            replace_file(path, self._metadata[role].to_bytes(), _PUBLIC)

    def _refer(self, role: str) -> None:
        """Let snapshot and timestamp say what they stand for."""
        if role == "snapshot":
            meta = cast("Snapshot", self._signed(role)).meta
            meta.clear()
            for one in ("targets", *DELEGATED):
                meta[f"{one}.json"] = MetaFile(self._signed(one).version)
        if role == "timestamp":
            self._signed(role).snapshot_meta = MetaFile(self._signed("snapshot").version)

    def _sign(self, role: str, by: int) -> None:
        metadata = self._metadata[role]
        metadata.signed.version += by
        metadata.signed.expires = self._now + timedelta(days=self._days(role))
        metadata.signatures.clear()
        for signer in self._at_hand(role)[: self._rule(role).threshold]:
            metadata.sign(signer, append=True)


_DAYS = "x-holdfast-days"
_ORDER = ("root", *DELEGATED, "targets", "snapshot", "timestamp")
_SHOWN = 3  # changes in one message


def _read(folder: Path) -> dict[str, Metadata[Any]]:
    """Return the newest metadata of each role, as clients come to it."""

    def version(role: str, number: int) -> Metadata[Any]:
        return Metadata.from_file(str(folder / f"{number}.{role}.json"))

    newest = max(int(path.name.partition(".")[0]) for path in folder.glob("*.root.json"))
    timestamp: Metadata[Any] = Metadata.from_file(str(folder / "timestamp.json"))
    snapshot = version("snapshot", timestamp.signed.snapshot_meta.version)
    return {
        "root": version("root", newest),
        "timestamp": timestamp,
        "snapshot": snapshot,
        **{
            role: version(role, snapshot.signed.meta[f"{role}.json"].version)
            for role in ("targets", *DELEGATED)
        },
    }


def _first(
    keys: Mapping[str, Sequence[Signer]], rules: Mapping[str, RoleRule], now: datetime
) -> dict[str, Metadata[Any]]:
    """Return the metadata of a new repository, unsigned."""
    expires = {role: now + timedelta(days=rule.days) for role, rule in rules.items()}
    root, targets = Root(expires=expires["root"]), Targets(expires=expires["targets"])
    targets.delegations = Delegations(
        {},
        {
            role: DelegatedRole(role, [], rules[role].threshold, True, paths=[paths])  # noqa: FBT003
            for role, paths in DELEGATED.items()
        },
    )
    for role, signers in keys.items():
        owner: Root | Targets = root if role in TOP_LEVEL else targets
        for signer in signers:
            owner.add_key(signer.public_key, role)
        if role in TOP_LEVEL:
            root.roles[role].threshold = rules[role].threshold
    # Signing again needs to be told nothing.
    root.unrecognized_fields[_DAYS] = {role: rule.days for role, rule in rules.items()}
    return {
        "root": Metadata(root),
        "targets": Metadata(targets),
        "snapshot": Metadata(Snapshot(expires=expires["snapshot"])),
        "timestamp": Metadata(Timestamp(expires=expires["timestamp"])),
        **{role: Metadata(Targets(expires=expires[role])) for role in DELEGATED},
    }


def _place(target: TargetFile) -> str:
    folder, _, name = target.path.rpartition("/")
    return f"targets/{folder}/{target.hashes['sha256']}.{name}"


def _told(found: Sequence[Change]) -> str:
    shown = [f"{change.place}: {change.words}" for change in found[:_SHOWN]]
    more = len(found) - _SHOWN
    return "; ".join(shown or ["it is the first"]) + (f"; and {more} more" if more > 0 else "")
