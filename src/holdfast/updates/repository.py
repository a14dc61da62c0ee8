"""The folder of a repository: the files that its roles list, and how all of it is written.

    metadata/         N.ROLE.json for each version, and timestamp.json, which is written last
    targets/          FOLDER/HASH.NAME
    repository.toml   how each role is to be signed

1. What is served is whole at each moment: versions stand beside each other (consistent snapshots),
   and a client sees the new ones only with the timestamp.
2. Old roots are never deleted: a client that was away needs each of them.
3. A new root comes into force by itself. So it is written after all that its keys have signed, and
   that carries the signatures of the former keys too: it verifies under either root.
4. One publication at a time, and none over another that it has not seen.
5. `write` is where each change ends: here it is signed and served, in `staged_repository` it
   becomes a request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, MetaFile, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

from holdfast.errors import UpdateError
from holdfast.updates.key_card import check_keys
from holdfast.updates.own_files import replace_file, replace_files, sync_file, sync_folder
from holdfast.updates.publication_lock import publishing
from holdfast.updates.repository_file import load_settings, write_settings
from holdfast.updates.repository_folder import (
    check_is_free,
    is_repository,
    newest_root,
    place_of,
    read_metadata,
)
from holdfast.updates.repository_settings import RepositorySettings
from holdfast.updates.roles import ONLINE, RoleRule
from holdfast.updates.signed_roles import (
    SIGNING_ORDER,
    Holder,
    SignedRoles,
    first_metadata,
    public_key_of,
)

__all__ = ["Repository"]

_PUBLIC = 0o644


class Repository(SignedRoles):
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
        super().__init__(signers, now, metadata, settings)
        self._folder = folder
        self._changed: dict[str, bytes] = {}
        self.is_locked = False  # whether others are kept out
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
            metadata = read_metadata(folder / "metadata")
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
        return cls(folder, signers, now, first_metadata(public, rules, now), load_settings(folder))

    @classmethod
    def begun(cls, folder: Path, signers: Mapping[str, Signer], now: datetime) -> Self:
        """Open a folder in which nothing is published yet: all of it comes by `write_signed`.

        Raises:
            UpdateError: There is something already.
            PolicyError: `repository.toml` cannot be read or has a mistake.
        """
        check_is_free(folder)
        settings = load_settings(folder)
        return cls(folder, signers, now, first_metadata({}, settings.roles, now), settings)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def content(self, role: str, path: str) -> bytes | None:
        """Return a file that a role lists, or None."""
        target = self.signed(role).targets.get(path)
        return None if target is None else (self._folder / place_of(target)).read_bytes()

    def path_of(self, role: str, path: str) -> Path:
        """Return where a file is that a role lists."""
        return self._folder / place_of(self.signed(role).targets[path])

    def put(self, role: str, path: str, content: bytes) -> None:
        """Let a role list a file."""
        target = TargetFile.from_data(path, content, ["sha256"])
        self.signed(role).targets[path] = target
        self._changed[place_of(target)] = content

    def put_file(self, role: str, path: str, draft: Path) -> None:
        """Let a role list a file that is too large for memory; the draft is moved into its place.

        Raises:
            OSError: It cannot be moved.
        """
        target = TargetFile.from_file(path, str(draft), ["sha256"])
        draft.chmod(_PUBLIC)
        sync_file(draft)
        place = self._folder / place_of(target)
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
        self.require([delegator])
        signers = self._signing(delegator)
        meta = self.signed("snapshot").meta

        def files() -> Iterator[tuple[str, bytes]]:
            for role, metadata in delegated:
                for signer in signers:
                    metadata.sign(signer, append=True)
                meta[f"{role}.json"] = MetaFile(metadata.signed.version)
                name = f"{metadata.signed.version}.{role}.json"
                yield name, metadata.to_bytes(JSONSerializer(compact=True))

        with self.alone():  # bins that others have published would be replaced otherwise
            replace_files(self._folder / "metadata", files(), _PUBLIC)

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
        with self.alone():
            self._sign_anew(signing, by)
            self._store(signing)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others out meanwhile, and refuse to write over what they have published.

        Each write does so for itself; what takes several does them within this.

        Raises:
            UpdateError: Others are publishing, or they have since this was opened.
            OSError: The folders cannot be made.
        """
        for below in ("metadata", "targets"):
            (self._folder / below).mkdir(parents=True, exist_ok=True)
        was_locked = self.is_locked
        with nullcontext() if was_locked else publishing(self._folder):
            self._require_unchanged()
            self.is_locked = True
            try:
                yield
            finally:
                self.is_locked = was_locked

    def _require_unchanged(self) -> None:
        folder = self._folder / "metadata"
        if not (folder / "timestamp.json").exists():
            return  # it is being made
        served = Metadata.from_file(str(folder / "timestamp.json")).signed.version
        mine = self.signed("root").version, self.signed("timestamp").version
        if self._is_begun or (newest_root(folder), served) != mine:
            raise UpdateError(
                f"others have published in {self._folder} meanwhile",
                hint="look at what they changed, and run this again",
            )

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
        self._outgoing = {role: self._signing(role) for role in ONLINE}
        self._metadata = after
        try:
            self.require(ONLINE)
        finally:
            self._metadata = before
        with self.alone():
            self._metadata = after
            self._write_signed(signed, files)

    def _write_signed(
        self, signed: Mapping[str, Metadata[Any]], files: Mapping[str, bytes]
    ) -> None:
        is_new = "root" in signed and signed["root"].signed.version == 1
        self._sign_anew(ONLINE, 0 if is_new else 1)
        for metadata in signed.values():
            for target in getattr(metadata.signed, "targets", {}).values():
                if target.hashes["sha256"] in files:
                    self._changed[place_of(target)] = files[target.hashes["sha256"]]
        self._store({*signed, *ONLINE})

    def _store(self, roles: Collection[str]) -> None:
        """Put files and metadata in their places, in an order in which clients find them whole."""
        for place, content in self._changed.items():
            path = self._folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, _PUBLIC)
        self._changed.clear()
        self._outgoing.clear()
        order = sorted(roles, key=SIGNING_ORDER.index)
        if (self._folder / "metadata" / "timestamp.json").exists():
            order.sort(key=lambda role: role == "root")  # rule 3
        for role in order:
            version = "" if role == "timestamp" else f"{self.signed(role).version}."
            path = self._folder / "metadata" / f"{version}{role}.json"
            replace_file(path, self.bytes_of(role), _PUBLIC)
        self._is_begun = False
