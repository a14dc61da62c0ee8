"""The folder of a repository: its metadata, who may sign each role, and how it is written.

    metadata/         N.ROLE.json for each version, and timestamp.json, which is written last
    targets/          FOLDER/HASH.NAME
    repository.toml   how each role is to be signed

1. What is served is whole at each moment: versions stand beside each other (consistent snapshots),
   and a client sees the new ones only with the timestamp.
2. Each role signs with the keys at hand, and what is missing is named.
3. Old roots are never deleted: a client that was away needs each of them.
4. A new root comes into force by itself. So it is written after all that its keys have signed, and
   that carries the signatures of the former keys too: it verifies under either root.
5. One publication at a time, and none over another that it has not seen.
6. `write` is where each change ends: here it is signed and served, in `staged_repository` it
   becomes a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from securesystemslib.signer import Key, Signer
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
from tuf.api.serialization.json import JSONSerializer

from holdfast.errors import UpdateError
from holdfast.updates.key_card import check_keys, who
from holdfast.updates.own_files import replace_file, replace_files, sync_file, sync_folder
from holdfast.updates.publication_lock import publishing
from holdfast.updates.repository_file import BEFOREHAND, load_settings, write_settings
from holdfast.updates.repository_settings import RepositorySettings
from holdfast.updates.roles import DELEGATED, ONLINE, TOP_LEVEL, RoleRule
from holdfast.updates.signing import sign

__all__ = ["Holder", "Repository", "public_key_of"]

# A key that is here, or one that somebody else has.
Holder = Signer | Key

_PUBLIC = 0o644
# What others refer to comes first.
_ORDER = ("root", *DELEGATED, "targets", *ONLINE)


class Repository:
    """One repository, for one process at a time. What is changed is served once it is written."""

    def __init__(
        self,
        folder: Path,
        signers: Mapping[str, Signer],
        now: datetime,
        metadata: Mapping[str, Metadata[Any]],
        settings: RepositorySettings,
    ) -> None:
        """Hold a repository; see `opened` and `created`."""
        self.now = now
        self.settings = settings
        self._folder, self._signers = folder, dict(signers)
        self._metadata = dict(metadata)
        self._changed: dict[str, bytes] = {}
        self._outgoing: dict[str, list[Signer]] = {}
        self.is_locked = False  # whether whoever opened it keeps others out
        self._is_begun = not is_repository(folder)  # nothing is served yet

    @classmethod
    def opened(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Self:
        """Open a repository.

        Args:
            folder: Where it is.
            signers: The keys at hand, by key id.
            now: The time, with an offset.

        Raises:
            UpdateError: There is none, or it cannot be read.
            PolicyError: `repository.toml` cannot be read or has a mistake.
        """
        if not is_repository(folder):
            raise UpdateError(
                f"{folder} is no repository", hint="make one with `holdfast updates init`"
            )
        try:
            metadata = _read(folder / "metadata")
        except Exception as error:  # whatever a damaged file makes python-tuf raise
            raise UpdateError(
                f"the metadata of {folder} cannot be read: {error}",
                hint="restore it, or make another with `holdfast updates init`",
            ) from error
        return cls(folder, signers, now, metadata, load_settings(folder))

    @classmethod
    def created(
        cls,
        folder: Path,
        keys: Mapping[str, Sequence[Holder]],
        rules: Mapping[str, RoleRule],
        now: datetime,
    ) -> Self:
        """Begin a repository; `write` all roles to make it one.

        Args:
            folder: Where; must not exist, or hold no more than its settings and key cards.
            keys: The keys of each role.
            rules: How each role signs; they are written down, unless the folder has settings.
            now: The time, with an offset.

        Raises:
            UpdateError: There is something already, or one person has two keys of a role.
            PolicyError: `repository.toml` has a mistake.
            OSError: It cannot be made.
        """
        check_is_free(folder)
        public = {role: [public_key_of(one) for one in several] for role, several in keys.items()}
        for role, several in public.items():
            check_keys(role, several)
        folder.mkdir(parents=True, exist_ok=True)
        write_settings(folder, rules)
        signers = {
            one.public_key.keyid: one
            for several in keys.values()
            for one in several
            if isinstance(one, Signer)
        }
        return cls(folder, signers, now, _first(public, rules, now), load_settings(folder))

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def signed(self, role: str) -> Any:  # noqa: ANN401  each role signs a type of its own
        """Return what a role signs."""
        return self._metadata[role].signed

    def bytes_of(self, role: str) -> bytes:
        """Return the metadata of a role as it is served."""
        return self._metadata[role].to_bytes()

    @classmethod
    def begun(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Self:
        """Open a folder in which nothing is published yet: all of it comes by `write_signed`.

        Raises:
            UpdateError: There is something already.
            PolicyError: `repository.toml` cannot be read or has a mistake.
        """
        check_is_free(folder)
        settings = load_settings(folder)
        return cls(folder, signers, now, _first({}, settings.roles, now), settings)

    def metadata(self, role: str) -> Metadata[Any]:
        """Return the metadata of a role."""
        return self._metadata[role]

    def rule(self, role: str) -> Any:  # noqa: ANN401  two types with the same fields
        """Return the key ids and the threshold of a role."""
        return self.delegator(role).get_delegated_role(role)

    def delegator(self, role: str) -> Any:  # noqa: ANN401  as above
        """Return what says who may sign a role."""
        return self.signed("root" if role in TOP_LEVEL else "targets")

    def at_hand(self, role: str) -> list[Signer]:
        """Return the keys of a role that are here."""
        return [self._signers[one] for one in self.rule(role).keyids if one in self._signers]

    def has_enough(self, role: str) -> bool:
        """Tell whether a role can sign here."""
        return bool(len(self.at_hand(role)) >= self.rule(role).threshold)

    def keys(self, role: str) -> list[Key]:
        """Return the public keys of a role."""
        return [self.delegator(role).get_key(keyid) for keyid in self.rule(role).keyids]

    def days(self, role: str) -> int:
        """Return for how long a signature of a role counts."""
        return self.settings.roles[role].days

    def content(self, role: str, path: str) -> bytes | None:
        """Return a file that a role lists, or None."""
        target = self.signed(role).targets.get(path)
        return None if target is None else (self._folder / _place(target)).read_bytes()

    def path_of(self, role: str, path: str) -> Path:
        """Return where a file is that a role lists."""
        return self._folder / _place(self.signed(role).targets[path])

    def put(self, role: str, path: str, content: bytes) -> None:
        """Let a role list a file."""
        target = TargetFile.from_data(path, content, ["sha256"])
        self.signed(role).targets[path] = target
        self._changed[_place(target)] = content

    def put_file(self, role: str, path: str, draft: Path) -> None:
        """Let a role list a file that is too large for memory; the draft is moved into its place.

        Raises:
            OSError: It cannot be moved.
        """
        target = TargetFile.from_file(path, str(draft), ["sha256"])
        draft.chmod(_PUBLIC)
        sync_file(draft)
        place = self._folder / _place(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(place)
        sync_folder(place.parent)
        self.signed(role).targets[path] = target

    def write_delegated(
        self, delegator: str, delegated: Iterable[tuple[str, Metadata[Targets]]]
    ) -> None:
        """Sign and write metadata of roles that sign with the keys of the role that delegates.

        No client comes to them before the snapshot that names them is written: see `write`.

        Args:
            delegator: The role that delegates; `write` it afterwards, and the snapshot.
            delegated: The name of each role and its metadata; asked for one by one.

        Raises:
            UpdateError: Keys are missing, or others publish or have. Nothing was written.
            OSError: They cannot be written.
        """
        self._require(delegator)
        signers = self.at_hand(delegator)[: self.rule(delegator).threshold]
        meta = self.signed("snapshot").meta

        def files() -> Iterator[tuple[str, bytes]]:
            for role, metadata in delegated:
                for signer in signers:
                    metadata.sign(signer, append=True)
                meta[f"{role}.json"] = MetaFile(metadata.signed.version)
                name = f"{metadata.signed.version}.{role}.json"
                yield name, metadata.to_bytes(JSONSerializer(compact=True))

        with self._publishing():  # bins that others have published would be replaced otherwise
            replace_files(self._folder / "metadata", files(), _PUBLIC)

    def exchange_keys(self, role: str, keys: Sequence[Holder], threshold: int) -> None:
        """Give a role other keys; the former ones that are here sign once more, for rule 4.

        Raises:
            UpdateError: A threshold of the root's keys is not here, or one person has two keys.
        """
        if role == "root":
            self._require("root")
        if role in TOP_LEVEL:
            self._outgoing[role] = self.at_hand(role)[: self.rule(role).threshold]
        self._exchange(role, keys, threshold)

    def _exchange(self, role: str, keys: Sequence[Holder], threshold: int) -> None:
        public = [public_key_of(one) for one in keys]
        check_keys(role, public)
        owner = self.delegator(role)
        for keyid in list(self.rule(role).keyids):
            owner.revoke_key(keyid, role)
        for key in public:
            owner.add_key(key, role)
        self.rule(role).threshold = threshold
        self._signers |= {one.public_key.keyid: one for one in keys if isinstance(one, Signer)}

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
        self.require(signing)
        with self._publishing():
            self._write(signing, by)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """Keep others out until all is written, and refuse to write over what they have.

        Raises:
            UpdateError: Others are publishing, or they have since this was opened.
            OSError: The folders cannot be made.
        """
        for below in ("metadata", "targets"):
            (self._folder / below).mkdir(parents=True, exist_ok=True)
        with nullcontext() if self.is_locked else publishing(self._folder):
            self._require_unchanged()
            yield

    def _require_unchanged(self) -> None:
        folder = self._folder / "metadata"
        if not (folder / "timestamp.json").exists():
            return  # it is being made
        served = Metadata.from_file(str(folder / "timestamp.json")).signed.version
        mine = self.signed("root").version, self.signed("timestamp").version
        if self._is_begun or (_newest_root(folder), served) != mine:
            raise UpdateError(
                f"others have published in {self._folder} meanwhile",
                hint="look at what they changed, and run this again",
            )

    def _write(self, signing: Sequence[str], by: int) -> None:
        order = sorted(signing, key=_ORDER.index)
        for role in order:
            self._refer(role)
            self._renew(role, by)
            self._sign(role)
        self._store(order)

    def write_signed(self, signed: Mapping[str, Metadata[Any]], files: Mapping[str, bytes]) -> None:
        """Take over what others have signed and write it, with snapshot and timestamp of here.

        Args:
            signed: The metadata of each role that has changed, which has been verified.
            files: What it lists, by the SHA-256.

        Raises:
            UpdateError: Keys of snapshot or timestamp are missing. Nothing was written.
            OSError: It cannot be written. What was served still is.
        """
        before, after = self._metadata, {**self._metadata, **signed}
        self._outgoing = {role: self.at_hand(role)[: self.rule(role).threshold] for role in ONLINE}
        self._metadata = after
        try:
            self.require(ONLINE)
        finally:
            self._metadata = before
        with self._publishing():
            self._metadata = after
            self._write_signed(signed, files)

    def _write_signed(
        self, signed: Mapping[str, Metadata[Any]], files: Mapping[str, bytes]
    ) -> None:
        is_new = "root" in signed and signed["root"].signed.version == 1
        for role in ONLINE:
            self._refer(role)
            self._renew(role, 0 if is_new else 1)
            self._sign(role)
        for metadata in signed.values():
            for target in getattr(metadata.signed, "targets", {}).values():
                if target.hashes["sha256"] in files:
                    self._changed[_place(target)] = files[target.hashes["sha256"]]
        self._store(sorted({*signed, *ONLINE}, key=_ORDER.index))

    def _store(self, order: Sequence[str]) -> None:
        for below in ("metadata", "targets"):
            (self._folder / below).mkdir(parents=True, exist_ok=True)
        for place, content in self._changed.items():
            path = self._folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, _PUBLIC)
        self._changed.clear()
        self._outgoing.clear()
        if (self._folder / "metadata" / "timestamp.json").exists():
            order = sorted(order, key=lambda role: role == "root")  # rule 4
        for role in order:
            version = "" if role == "timestamp" else f"{self.signed(role).version}."
            path = self._folder / "metadata" / f"{version}{role}.json"
            replace_file(path, self.bytes_of(role), _PUBLIC)
        self._is_begun = False

    def require(self, roles: Iterable[str]) -> None:
        """Refuse to go on where the keys of a role are missing; `write` does so too.

        Raises:
            UpdateError: They are.
        """
        for role in roles:
            self._require(role)

    def _require(self, role: str) -> None:
        if not self.has_enough(role):
            rule, here = self.rule(role), {one.public_key.keyid for one in self.at_hand(role)}
            others = who(one for one in self.keys(role) if one.keyid not in here)
            raise UpdateError(
                f"{role} takes {rule.threshold} of its {len(rule.keyids)} keys, and "
                f"{len(here)} are here: there are also those of {others}",
                hint="name their folders with --keys, or let them sign a request: "
                "`holdfast updates stage`",
            )

    def _refer(self, role: str) -> None:
        """Let snapshot and timestamp say what they stand for."""
        if role == "snapshot":
            # Whatever else it names stays: a role that is gone from it would stop clients.
            self.signed(role).meta |= {
                f"{one}.json": MetaFile(self.signed(one).version) for one in ("targets", *DELEGATED)
            }
        if role == "timestamp":
            self.signed(role).snapshot_meta = MetaFile(self.signed("snapshot").version)

    def _renew(self, role: str, by: int) -> None:
        """Make what has changed the next version, which nobody has signed yet."""
        metadata = self._metadata[role]
        metadata.signed.version += by
        metadata.signed.expires = self.now + timedelta(days=self.days(role))
        metadata.signatures.clear()

    def _sign(self, role: str) -> None:
        signing = self.at_hand(role)[: self.rule(role).threshold]
        known = {one.public_key.keyid for one in signing}
        outgoing = self._outgoing.get(role, [])
        signing += [one for one in outgoing if one.public_key.keyid not in known]
        for signer in signing:
            sign(self._metadata[role], signer, role)


def public_key_of(one: Holder) -> Key:
    """Return the public half of a key, whether it is here or not."""
    return one.public_key if isinstance(one, Signer) else one


def is_repository(folder: Path) -> bool:
    """Tell whether a folder is served as a repository."""
    return (folder / "metadata" / "timestamp.json").is_file()


def check_is_free(folder: Path) -> None:
    """Refuse a folder in which something is, but for settings and key cards.

    Raises:
        UpdateError: There is something.
        OSError: It cannot be looked at.
    """
    if folder.exists() and {path.name for path in folder.iterdir()} - BEFOREHAND:
        raise UpdateError(f"{folder} is not empty", hint="name a new folder")


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
    keys: Mapping[str, Sequence[Key]], rules: Mapping[str, RoleRule], now: datetime
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
    for role, several in keys.items():
        owner: Root | Targets = root if role in TOP_LEVEL else targets
        for key in several:
            owner.add_key(key, role)
        if role in TOP_LEVEL:
            root.roles[role].threshold = rules[role].threshold
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
