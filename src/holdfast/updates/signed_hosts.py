"""The pins of single hosts as a repository signs them: the bins of some, or the file of all.

1. A client fetches the bins of the hosts that it was told of, and nothing of the others.
2. What cannot be had (withheld, expired, the bin of other hosts) is said, keeps nothing else back,
   and leaves what was verified last for those hosts. As long as the keys of `pins` have not changed
   that is verified again, each time: its signature counts, its age is what is wrong with it.
3. Without any that was verified before, a host is judged by the pins of its set.
4. The file of all hosts is written as it comes, and hashed once: it is too large for memory.

What the pins are is for others to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from tuf.api.metadata import Metadata, TargetFile, Targets

from holdfast.errors import UpdateError
from holdfast.findings.escape import escaped
from holdfast.updates.host_bins import (
    INDEX_TARGET,
    MOST_BITS,
    bins_of,
    layout,
    path_of,
    table_of,
)
from holdfast.updates.own_files import (
    read_file,
    replace_file,
    sha256_of,
    sync_folder,
)

if TYPE_CHECKING:
    from tuf.ngclient import Updater

__all__ = ["NOBODY", "NO_HOSTS", "IndexFile", "SignedHosts", "Wanted", "signed_hosts"]

MAX_INDEX_BYTES = 512 * 1024 * 1024  # a million hosts take 110 MB
_BIN_LIMIT = 5 * 1024 * 1024  # bytes; what the client's settings give any role
# Seconds; denied keys must not wait for an origin that drips. What has come is kept, and the next
# refresh goes on from there.
_MOST_TIME = 60.0
_SHOWN = 3  # hosts, in words
_TEXT_LIMIT = 300  # characters of an error
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INDEX_NAME = re.compile(r"([0-9a-f]{64})\.hosts\.json")

Download = Callable[[str, Path, int], None]  # of a name below the targets, with its length


class Wanted(NamedTuple):
    """Whose pins a client asks for.

    Attributes:
        hosts: Canonical hosts, each of whose bins is fetched.
        every_host: Whether the file of all hosts is fetched instead.
    """

    hosts: frozenset[str] = frozenset()
    every_host: bool = False


NOBODY = Wanted()


class IndexFile(NamedTuple):
    """A verified file of all hosts, and its SHA-256."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class SignedHosts:
    """What is signed for the hosts that were asked for.

    Attributes:
        entries: Of each host that has pins of its own, as they are signed.
        index: The file of all hosts, where it was asked for.
        outdated: The hosts whose entry is not what the repository says now.
        problems: Why something is not what it says now.
    """

    entries: Mapping[str, object] = field(default_factory=dict)
    index: IndexFile | None = None
    outdated: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


NO_HOSTS = SignedHosts()


def signed_hosts(
    updater: Updater,
    trusted: Mapping[str, Any],
    wanted: Wanted,
    *,
    metadata: Path,
    targets: Path,
    download: Download | None,
) -> SignedHosts:
    """Verify what is signed for some hosts, or for all.

    Args:
        updater: Has verified the role `pins`.
        trusted: What it has verified, by role.
        wanted: Whose pins.
        metadata: The folder of the metadata.
        targets: The folder of the targets.
        download: Writes a file that is not kept, unverified; None to look at what is kept only.

    Raises:
        OSError: A folder cannot be read or written.
    """
    if wanted.every_host:
        return _Index(trusted, metadata, targets, download).signed()
    if wanted.hosts:
        return _Bins(updater, trusted, metadata).signed(wanted.hosts)
    return NO_HOSTS


class _Bins:
    """The bins of some hosts."""

    def __init__(self, updater: Updater, trusted: Mapping[str, Any], metadata: Path) -> None:
        self._updater = updater
        # `pins`, and what it delegates to: nobody delegates further.
        updater.config = replace(updater.config, max_delegations=2)
        self._trusted, self._folder = trusted, metadata
        self._pins: Targets = trusted["pins"]
        self._failed: dict[str, str] = {}

    def signed(self, hosts: frozenset[str]) -> SignedHosts:
        entries: dict[str, object] = {}
        missing: dict[str, str] = {}
        ends = monotonic() + _MOST_TIME
        for host in sorted(hosts):
            try:
                table = self._table(host, ends)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  rule 2, whatever its signer has put there
                missing[host] = _text(error)
                table = self._last_good(host)
            if host in table:
                entries[host] = table[host]
        return SignedHosts(entries, outdated=frozenset(missing), problems=tuple(_in_words(missing)))

    def _table(self, host: str, ends: float) -> Mapping[str, object]:
        """Return what the repository says now, if there is time left to ask it."""
        bins = bins_of(self._pins)
        if bins is None:
            return {}
        role = bins.get_role_for_target(path_of(host))
        if role in self._failed:
            raise UpdateError(self._failed[role])
        if monotonic() > ends:
            raise UpdateError(f"the bins of all hosts took more than {_MOST_TIME:g} s")
        try:
            self._updater.get_targetinfo(path_of(host))
        except Exception as error:
            self._failed[role] = _text(error)
            raise
        if role not in self._trusted:
            raise UpdateError(f"the role `pins` stands before {role}")
        return table_of(self._trusted[role], role)

    def _last_good(self, host: str) -> Mapping[str, object]:
        """Return what was verified last; nothing where that is gone, or its keys are."""
        with suppress(Exception):  # as above: what is wrong has been told
            now = bins_of(self._pins)
            if now is None:
                return {}
            present = now.get_role_for_target(path_of(host))
            others = (layout(bits, [], 1) for bits in range(MOST_BITS, 0, -1))
            names = [present, *(one.get_role_for_target(path_of(host)) for one in others)]
            for name in names:
                path = self._folder / f"{name}.json"
                if path.exists():
                    kept = Metadata[Targets].from_bytes(read_file(path, _BIN_LIMIT))
                    # All bins have the same keys.
                    self._pins.verify_delegate(present, kept.signed_bytes, kept.signatures)
                    return table_of(kept.signed, name)
        return {}


class _Index:
    """The file of all hosts, as `DIGEST.hosts.sqlite`, beside the metadata that name its digest."""

    def __init__(
        self,
        trusted: Mapping[str, Any],
        metadata: Path,
        targets: Path,
        download: Download | None,
    ) -> None:
        self._trusted, self._metadata, self._folder = trusted, metadata, targets
        self._download = download

    def signed(self) -> SignedHosts:
        try:
            index = self._newest()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  as above
            problem = f"{INDEX_TARGET}: {_text(error)}"
            return SignedHosts(index=self._last_good(), problems=(problem,))
        return SignedHosts(index=index)

    def _newest(self) -> IndexFile | None:
        """Return what the repository says now."""
        pins: Targets = self._trusted["pins"]
        info = pins.targets.get(INDEX_TARGET)
        if info is None:
            if pins.delegations is not None:
                raise UpdateError(
                    "the repository has host pins, but not in one file",
                    hint="publish them with --index",
                )
            return None
        digest = info.hashes.get("sha256", "")
        if info.length > MAX_INDEX_BYTES:
            raise UpdateError(f"it has {info.length} bytes, of {MAX_INDEX_BYTES} at most")
        if not _DIGEST.fullmatch(digest):
            raise UpdateError("it is signed by another hash than SHA-256")
        path = self._folder / f"{digest}.hosts.sqlite"
        if not _is(path, info.length, digest):
            if self._download is None:
                raise UpdateError(f"{path} is missing or damaged")
            self._fetch(path, info, digest, self._download)
        if self._download is not None:
            self._keep(digest)
        return IndexFile(path, digest)

    def _fetch(self, path: Path, info: TargetFile, digest: str, download: Download) -> None:
        draft = path.with_suffix(".part")
        try:
            download(f"pins/{digest}.hosts.sqlite", draft, info.length)
            if sha256_of(draft, info.length) != digest:
                raise UpdateError("it is not what was signed")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)

    def _keep(self, digest: str) -> None:
        """Keep the metadata that name the file, and forget former files."""
        signed = read_file(self._metadata / "pins.json", _BIN_LIMIT)
        proof = self._folder / f"{digest}.hosts.json"
        if not proof.exists() or proof.read_bytes() != signed:
            replace_file(proof, signed)
        for path in self._folder.iterdir():
            if ".hosts." in path.name and not path.name.startswith(digest):
                path.unlink()

    def _last_good(self) -> IndexFile | None:
        """Return the newest that is kept, signed by keys that still count."""
        found = [one for path in self._folder.iterdir() for one in self._proven(path)]
        return max(found, default=(0, None), key=lambda one: one[0])[1]

    def _proven(self, proof: Path) -> Iterator[tuple[int, IndexFile]]:
        """Yield the version of the role `pins` that has signed a file, and the file."""
        name = _INDEX_NAME.fullmatch(proof.name)
        if name is None:
            return
        with suppress(Exception):  # as above
            signed = Metadata[Targets].from_bytes(read_file(proof, _BIN_LIMIT))
            self._trusted[Targets.type].verify_delegate(
                "pins", signed.signed_bytes, signed.signatures
            )
            info = signed.signed.targets[INDEX_TARGET]
            path = self._folder / f"{name[1]}.hosts.sqlite"
            if info.hashes["sha256"] == name[1] and _is(path, info.length, name[1]):
                yield signed.signed.version, IndexFile(path, name[1])


def _is(path: Path, length: int, digest: str) -> bool:
    """Tell whether a file is there and holds what was signed."""
    try:
        return sha256_of(path, length) == digest
    except OSError:
        return False


def _in_words(missing: Mapping[str, str]) -> Iterator[str]:
    """Say what cannot be had, in one line however much it is."""
    if missing:
        hosts = list(missing)
        more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
        yield (
            f"the newest pins of {', '.join(hosts[:_SHOWN])}{more} cannot be had: "
            f"{missing[hosts[0]]}"
        )


def _text(error: Exception) -> str:
    return escaped(str(error) or type(error).__name__, _TEXT_LIMIT)
