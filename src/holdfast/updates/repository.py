"""The folder of a repository: its metadata, who may sign each role, and how it is written.

    metadata/   N.ROLE.json for each version, and timestamp.json, which is written last
    targets/    FOLDER/HASH.NAME

1. What is served is whole at each moment: versions stand beside each other (consistent snapshots),
   and a client sees the new ones only with the timestamp.
2. Each role signs with the keys at hand, and what is missing is named.
3. Old roots are never deleted: a client that was away needs each of them.
4. A new root comes into force by itself. So it is written after all that its keys have signed, and
   that carries the signatures of the former keys too: it verifies under either root.
5. One publication at a time, and none over another that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from holdfast.updates.own_files import replace_file
from holdfast.updates.publication_lock import publishing
from holdfast.updates.roles import DELEGATED, TOP_LEVEL, RoleRule

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["Repository"]

_PUBLIC = 0o644
_DAYS = "x-holdfast-days"
# What others refer to comes first.
_ORDER = ("root", *DELEGATED, "targets", "snapshot", "timestamp")


class Repository:
    """One repository, for one process at a time. What is changed is served once it is written."""

    def __init__(
        self,
        folder: Path,
        signers: Mapping[str, Signer],
        now: datetime,
        metadata: Mapping[str, Metadata[Any]],
    ) -> None:
        """Hold a repository; see `opened` and `created`."""
        self.now = now
        self._folder, self._signers = folder, dict(signers)
        self._metadata = dict(metadata)
        self._changed: dict[str, bytes] = {}
        self._outgoing: dict[str, list[Signer]] = {}
        self.is_locked = False  # whether whoever opened it keeps others out

    @classmethod
    def opened(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Repository:
        """Open a repository.

        Args:
            folder: Where it is.
            signers: The keys at hand, by key id.
            now: The time, with an offset.

        Raises:
            UpdateError: There is none, or it cannot be read.
        """
        if not (folder / "metadata" / "timestamp.json").is_file():
            raise UpdateError(
                f"{folder} is no repository", hint="make one with `holdfast updates init`"
            )
        try:
            return cls(folder, signers, now, _read(folder / "metadata"))
        except Exception as error:  # whatever a damaged file makes python-tuf raise
            raise UpdateError(
                f"the metadata of {folder} cannot be read: {error}",
                hint="restore it, or make another with `holdfast updates init`",
            ) from error

    @classmethod
    def created(
        cls,
        folder: Path,
        keys: Mapping[str, Sequence[Signer]],
        rules: Mapping[str, RoleRule],
        now: datetime,
    ) -> Repository:
        """Make the folders of a repository; `write` all roles to make it one.

        Args:
            folder: Where; must not exist, or be empty.
            keys: The keys of each role.
            rules: How each role signs.
            now: The time, with an offset.

        Raises:
            UpdateError: There is something already.
            OSError: It cannot be made.
        """
        if folder.exists() and any(folder.iterdir()):
            raise UpdateError(f"{folder} is not empty", hint="name a new folder")
        for below in ("metadata", "targets"):
            (folder / below).mkdir(parents=True, exist_ok=True)
        signers = {one.public_key.keyid: one for several in keys.values() for one in several}
        return cls(folder, signers, now, _first(keys, rules, now))

    def signed(self, role: str) -> Any:  # noqa: ANN401  each role signs a type of its own
        """Return what a role signs."""
        return self._metadata[role].signed

    def bytes_of(self, role: str) -> bytes:
        """Return the metadata of a role as it is served."""
        return self._metadata[role].to_bytes()

    def rule(self, role: str) -> Any:  # noqa: ANN401  two types with the same fields
        """Return the key ids and the threshold of a role."""
        if role in TOP_LEVEL:
            return self.signed("root").roles[role]
        return self.signed("targets").delegations.roles[role]

    def at_hand(self, role: str) -> list[Signer]:
        """Return the keys of a role that are here."""
        return [self._signers[one] for one in self.rule(role).keyids if one in self._signers]

    def has_enough(self, role: str) -> bool:
        """Tell whether a role can sign here."""
        return bool(len(self.at_hand(role)) >= self.rule(role).threshold)

    def days(self, role: str) -> int:
        """Return for how long a signature of a role counts."""
        return int(self.signed("root").unrecognized_fields[_DAYS][role])

    def content(self, role: str, path: str) -> bytes | None:
        """Return a file that a role lists, or None."""
        target = self.signed(role).targets.get(path)
        return None if target is None else (self._folder / _place(target)).read_bytes()

    def put(self, role: str, path: str, content: bytes) -> None:
        """Let a role list a file."""
        target = TargetFile.from_data(path, content, ["sha256"])
        self.signed(role).targets[path] = target
        self._changed[_place(target)] = content

    def exchange_keys(self, role: str, keys: Sequence[Signer]) -> None:
        """Give a role other keys; the former ones that are here sign once more, for rule 4.

        Raises:
            UpdateError: A threshold of the root's keys is not here.
        """
        if role == "root":
            self._require("root")
        if role in TOP_LEVEL:
            self._outgoing[role] = self.at_hand(role)[: self.rule(role).threshold]
        owner: Root | Targets = self.signed("root" if role in TOP_LEVEL else "targets")
        for keyid in list(self.rule(role).keyids):
            owner.revoke_key(keyid, role)
        for key in keys:
            owner.add_key(key.public_key, role)
            self._signers[key.public_key.keyid] = key

    def write(self, signing: Sequence[str], by: int = 1) -> None:
        """Sign, then write: what others refer to first, the timestamp last, after it a new root.

        Args:
            signing: The roles that have changed.
            by: How much higher their versions are.

        Raises:
            UpdateError: Keys are missing, others are publishing, or they have since this was
                opened. Nothing was written.
            OSError: It cannot be written. What was served still is.
        """
        for role in signing:
            self._require(role)
        with nullcontext() if self.is_locked else publishing(self._folder):
            self._require_unchanged()
            self._write(signing, by)

    def _require_unchanged(self) -> None:
        folder = self._folder / "metadata"
        if not (folder / "timestamp.json").exists():
            return  # it is being made
        served = Metadata.from_file(str(folder / "timestamp.json")).signed.version
        mine = self.signed("root").version, self.signed("timestamp").version
        if (_newest_root(folder), served) != mine:
            raise UpdateError(
                f"others have published in {self._folder} meanwhile",
                hint="look at what they changed, and run this again",
            )

    def _write(self, signing: Sequence[str], by: int) -> None:
        order = sorted(signing, key=_ORDER.index)
        for role in order:
            self._refer(role)
            self._sign(role, by)
        for place, content in self._changed.items():
            path = self._folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, _PUBLIC)
        self._changed.clear()
        self._outgoing.clear()
        if (self._folder / "metadata" / "timestamp.json").exists():
            order.sort(key=lambda role: role == "root")  # rule 4
        for role in order:
            version = "" if role == "timestamp" else f"{self.signed(role).version}."
            path = self._folder / "metadata" / f"{version}{role}.json"
            replace_file(path, self.bytes_of(role), _PUBLIC)

    def _require(self, role: str) -> None:
        if not self.has_enough(role):
            rule = self.rule(role)
            raise UpdateError(
                f"{role} takes {rule.threshold} of its {len(rule.keyids)} keys, and "
                f"{len(self.at_hand(role))} are here",
                hint="name the folders of the others with --keys",
            )

    def _refer(self, role: str) -> None:
        """Let snapshot and timestamp say what they stand for."""
        if role == "snapshot":
            self.signed(role).meta = {
                f"{one}.json": MetaFile(self.signed(one).version) for one in ("targets", *DELEGATED)
            }
        if role == "timestamp":
            self.signed(role).snapshot_meta = MetaFile(self.signed("snapshot").version)

    def _sign(self, role: str, by: int) -> None:
        metadata = self._metadata[role]
        metadata.signed.version += by
        metadata.signed.expires = self.now + timedelta(days=self.days(role))
        metadata.signatures.clear()
        signing = self.at_hand(role)[: self.rule(role).threshold]
        known = {one.public_key.keyid for one in signing}
        outgoing = self._outgoing.get(role, [])
        signing += [one for one in outgoing if one.public_key.keyid not in known]
        for signer in signing:
            metadata.sign(signer, append=True)


def _read(folder: Path) -> dict[str, Metadata[Any]]:
    """Return the newest metadata of each role, as clients come to it."""

    def version(role: str, number: int) -> Metadata[Any]:
        return Metadata.from_file(str(folder / f"{number}.{role}.json"))

    timestamp: Metadata[Any] = Metadata.from_file(str(folder / "timestamp.json"))
    snapshot = version("snapshot", timestamp.signed.snapshot_meta.version)
    return {
        "root": version("root", _newest_root(folder)),
        "timestamp": timestamp,
        "snapshot": snapshot,
        **{
            role: version(role, snapshot.signed.meta[f"{role}.json"].version)
            for role in ("targets", *DELEGATED)
        },
    }


def _newest_root(folder: Path) -> int:
    return max(int(path.name.partition(".")[0]) for path in folder.glob("*.root.json"))


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
