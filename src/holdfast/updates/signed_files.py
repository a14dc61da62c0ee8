"""The files that a repository signs for clients, verified by python-tuf.

1. The root that ships with the application is where trust begins, each time: a cached one could
   have been exchanged.
2. The time as of which metadata is judged is an argument. python-tuf has no public way to give it,
   so that a private name is set; a test holds that it is there, and without it nothing verifies.
3. Each file counts only if the role that owns its folder has signed it, and that role is delegated
   by the top-level targets role itself.
4. What is missing of the emergency and break-glass files is said, and keeps nothing else back:
   otherwise whoever withholds one file, or an offline role that has expired, would hold back all
   pins.
5. Nor do pins that are withheld hold a denial back: the error carries the deny list then.
6. No key signs twice (`distinct_keys`). python-tuf looks only at the names of keys.
7. A file is put in its place after it was verified. python-tuf writes in place, and 15 of 150 kills
   left a torn file.

What is in the files is for others to read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Root, TargetFile, Targets

from holdfast.errors import DenialsOnlyError, UpdateError
from holdfast.findings.escape import escaped
from holdfast.updates.distinct_keys import count_keys_of_root_once, count_keys_once
from holdfast.updates.epoch import epoch_of
from holdfast.updates.fetcher import TARGETS, OriginFetcher
from holdfast.updates.own_files import create_file, read_file, sync_folder
from holdfast.updates.signed_hosts import NO_HOSTS, SignedHosts, Wanted, signed_hosts

if TYPE_CHECKING:
    from tuf.ngclient import Updater

__all__ = ["SignedFile", "SignedFiles", "verified_files"]

_MIB = 1024 * 1024
_TEXT_LIMIT = 300  # characters of an error
_STRONG_HASHES = {"sha256", "sha384", "sha512"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file is in the repository, who may sign it, and how many bytes it may have."""

    path: str
    role: str
    limit: int

    @property
    def local_name(self) -> str:
        return self.path.replace("/", ".")


_POLICY = _Place("policy/bundle.json", "targets", 16 * _MIB)
_PINS = _Place("pins/bundle.json", "pins", 16 * _MIB)
_EMERGENCY = _Place("emergency/deny.json", "emergency", _MIB)
_BREAK_GLASS = _Place("breakglass/sets.json", "breakglass", _MIB)


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A verified file and the role that has signed it."""

    path: str
    role: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFiles:
    """All of one state of a repository.

    Attributes:
        pins: The bundle of the `pins` role.
        policy: The bundle of the offline `targets` role, where there is one.
        emergency: The deny list; None with an `emergency_problem`.
        breakglass: The break-glass list, where there is one.
        emergency_problem: Why the deny list cannot be had: then the client is stale.
        breakglass_problem: Why the break-glass list cannot be had, where there should be one.
        epoch: Of the top-level targets, at least 1.
        timestamp_version: Of the timestamp.
        timestamp_expires: When the state is no longer fresh.
        hosts: The pins of single hosts, as far as they were asked for. What is missing of them
            makes the client stale too.
    """

    pins: SignedFile
    policy: SignedFile | None
    emergency: SignedFile | None
    breakglass: SignedFile | None
    emergency_problem: str | None
    breakglass_problem: str | None
    epoch: int
    timestamp_version: int
    timestamp_expires: datetime
    hosts: SignedHosts = NO_HOSTS


def verified_files(
    start: Callable[[], Updater],
    now: datetime,
    folders: tuple[Path, Path],
    wanted: Wanted,
    origin: OriginFetcher | None = None,
) -> SignedFiles:
    """Verify everything by python-tuf; of what it raises, only what the disk says passes as it is.

    Args:
        start: Makes an updater of the folders.
        now: The time as of which to verify.
        folders: That of the metadata, and that of the targets.
        wanted: The hosts whose own pins are returned too.
        origin: Where to fetch what is not kept; None to look at what is kept only.

    Raises:
        DenialsOnlyError: The pins do not verify, but the deny list does.
        UpdateError: It does not verify.
        OSError: A folder cannot be read or written.
    """
    try:
        return _Verification(start(), now, folders, origin).files(wanted)
    except (UpdateError, OSError):
        raise
    except Exception as error:  # metadata is outside input to a library with many errors
        raise UpdateError(_text(error)) from error


def _text(error: Exception) -> str:
    return escaped(str(error) or type(error).__name__, _TEXT_LIMIT)


class _Verification:
    """One run over a repository, or over what is kept of one."""

    def __init__(
        self,
        updater: Updater,
        now: datetime,
        folders: tuple[Path, Path],
        origin: OriginFetcher | None,
    ) -> None:
        self._updater = updater
        self._origin = origin
        self._trusted = updater._trusted_set  # noqa: SLF001  rule 2
        self._metadata, self._folder = folders
        if not isinstance(getattr(self._trusted, "reference_time", None), datetime):
            raise UpdateError(
                "this release of python-tuf cannot be told the time", hint="install tuf 7"
            )
        self._trusted.reference_time = now
        # Each root decides who signs the next one (rule 6).
        self._update_root = self._trusted.update_root
        self._trusted.update_root = self._checked_root  # type: ignore[method-assign]
        count_keys_once(self._trusted.root)

    def _checked_root(self, data: bytes) -> Root:
        root = self._update_root(data)
        count_keys_of_root_once(root, data)
        return root

    def files(self, wanted: Wanted) -> SignedFiles:
        """Verify everything."""
        self._updater.refresh()
        top = self._trusted.targets
        if top.delegations is not None:
            count_keys_once(top.delegations)
        epoch = epoch_of(top)
        emergency, emergency_problem = self._spared(_EMERGENCY)
        try:
            pins, policy = self._bundles()
            hosts = self._hosts(wanted)
        except OSError:
            raise
        except Exception as error:
            if emergency is None:
                raise
            raise DenialsOnlyError(
                _text(error), emergency=emergency.content, epoch=epoch
            ) from error
        if emergency is None and emergency_problem is None:
            emergency_problem = f"the repository has no {_EMERGENCY.path}"
        breakglass, breakglass_problem = self._spared(_BREAK_GLASS)
        timestamp = self._trusted.timestamp
        return SignedFiles(
            pins=pins,
            policy=policy,
            emergency=emergency,
            breakglass=breakglass,
            emergency_problem=emergency_problem,
            breakglass_problem=breakglass_problem,
            epoch=epoch,
            timestamp_version=timestamp.version,
            timestamp_expires=timestamp.expires,
            hosts=hosts,
        )

    def _save(self, name: str, path: Path, length: int) -> None:
        if self._origin is not None:
            self._origin.save(f"{TARGETS}{name}", path, length)

    def _hosts(self, wanted: Wanted) -> SignedHosts:
        """Return the pins of single hosts."""
        owner = self._trusted.get(_PINS.role)
        if isinstance(owner, Targets) and owner.delegations is not None:
            count_keys_once(owner.delegations)
        return signed_hosts(
            self._updater,
            self._trusted,
            wanted,
            metadata=self._metadata,
            targets=self._folder,
            download=None if self._origin is None else self._save,
        )

    def _bundles(self) -> tuple[SignedFile, SignedFile | None]:
        """Return the pins and the policy."""
        pins = self._file(_PINS)
        if pins is None:
            raise UpdateError(f"the repository has no {_PINS.path}")
        return pins, self._file(_POLICY)

    def _spared(self, place: _Place) -> tuple[SignedFile | None, str | None]:
        """Return a file, or why it cannot be had."""
        try:
            return self._file(place), None
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  rule 4, whatever its signer has put there
            return None, f"{place.path}: {_text(error)}"

    def _file(self, place: _Place) -> SignedFile | None:
        """Return a file as its owner has signed it, or None where the repository has none."""
        info = self._info(place)
        path = self._folder / place.local_name
        if info is None:
            if self._origin is not None:
                path.unlink(missing_ok=True)
            return None
        if info.length > place.limit:
            raise UpdateError(f"{place.path} has {info.length} bytes, of {place.limit} at most")
        if not _STRONG_HASHES & info.hashes.keys():
            raise UpdateError(f"{place.path} is signed by a weak hash")
        content = _verified_content(path, info)
        if content is None:
            if self._origin is None:
                raise UpdateError(f"{path} is missing or damaged")
            content = self._download(path, info)
        return SignedFile(place.path, place.role, content)

    def _info(self, place: _Place) -> TargetFile | None:
        """Return what the owner says of a file."""
        top = self._trusted.targets
        if place.path in top.targets:
            if place.role != Targets.type:
                raise UpdateError(
                    f"{place.path} is signed by {Targets.type}; only {place.role} may sign it"
                )
            return top.targets[place.path]
        delegations = top.delegations
        if place.role == Targets.type or delegations is None:
            return None
        for role, _ in delegations.get_roles_for_target(place.path):
            if role != place.role:
                shown = escaped(role, _TEXT_LIMIT)
                raise UpdateError(f"{place.path} is delegated to {shown}, not to {place.role}")
            return self._updater.get_targetinfo(place.path)
        return None

    def _download(self, path: Path, info: TargetFile) -> bytes:
        draft = path.with_suffix(".part")
        descriptor = create_file(draft)
        try:
            self._updater.download_target(info, str(draft))
            content = _verified_content(draft, info)
            if content is None:
                raise UpdateError(f"{info.path} was not written as it was verified")
            os.fsync(descriptor)
            draft.replace(path)
        finally:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
        return content


def _verified_content(path: Path, info: TargetFile) -> bytes | None:
    """Return what a file holds if that is what was signed."""
    try:
        content = read_file(path, info.length)
        info.verify_length_and_hashes(content)
    except (OSError, LengthOrHashMismatchError):
        return None
    return content
