"""A client's working copy of a repository: brought up to date from an origin, or read as it is.

python-tuf verifies it as it goes, see `signed_files`; what it verified stays, so that it never
falls back, although the pins in force are a sealed generation of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from holdfast.errors import DenialsOnlyError, UpdateError
from holdfast.updates.fetcher import METADATA, TARGETS, KeptMetadata, OriginFetcher
from holdfast.updates.host_bins import is_bin, table_of
from holdfast.updates.signed_files import SignedFiles, verified_files
from holdfast.updates.signed_hosts import NOBODY, Wanted

if TYPE_CHECKING:
    from tuf.api.metadata import Targets

__all__ = ["CONFIG", "DEADLINE", "fetch", "verify_kept"]

DEADLINE = 120.0  # seconds, for all that one origin is asked for in a refresh
_MIB = 1024 * 1024
CONFIG = UpdaterConfig(
    # python-tuf's 256 lock a client out for good that is further behind.
    max_root_rotations=1024,
    # The targets role and the first one that it delegates a path to. Only `pins` delegates further,
    # to bins of hosts, for which this is raised by one.
    max_delegations=1,
    root_max_length=128 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=2 * _MIB,
    targets_max_length=5 * _MIB,
)


def fetch(
    fetchers: Sequence[OriginFetcher],
    *,
    root: bytes,
    now: datetime,
    metadata: Path,
    targets: Path,
    wanted: Wanted = NOBODY,
    deadline: float = DEADLINE,
) -> SignedFiles:
    """Bring a working copy up to date, and return what it holds.

    The copy may get ahead although this fails; that is how python-tuf remembers what not to fall
    back to. No other thread or process may use it meanwhile.

    Args:
        fetchers: The origin and its mirrors, tried in this order. One from which the emergency
            file, or pins of hosts, cannot be had counts only if it is no better at the others.
        root: The root metadata that ships with the application.
        now: The time as of which to verify.
        metadata: The folder for metadata.
        targets: The folder for targets.
        wanted: The hosts whose own pins are fetched too.
        deadline: Seconds that each origin has for all of it. What was fetched by then is kept, so
            that a client far behind gets ahead each time.

    Raises:
        DenialsOnlyError: No origin has pins that verify, and one has a deny list.
        UpdateError: No origin has a state that verifies.
        OSError: The copy cannot be written.
    """
    problems: list[str] = []
    is_partial = False
    files = None
    problem: str | None = None  # of a state without its deny list
    denials: DenialsOnlyError | None = None
    for fetcher in fetchers:
        files = None
        try:
            with fetcher.within(deadline):
                start = _starting(_WritingUpdater, fetcher, root, metadata, targets)
                files = verified_files(start, now, (metadata, targets), wanted, fetcher)
        except DenialsOnlyError as error:
            problems.append(f"{fetcher.origin}: {error}")
            denials = error
        except UpdateError as error:
            problems.append(f"{fetcher.origin}: {error}")
        else:
            if files.emergency_problem is None and not files.hosts.problems:
                return files
            is_partial = True
            problem = files.emergency_problem or problem
    if files is not None and (denials is None or files.emergency is not None):
        return files  # of the last origin: nobody has changed the copy since
    if denials is not None:
        text = "; ".join(problems)
        raise DenialsOnlyError(text, emergency=denials.emergency, epoch=denials.epoch)
    if is_partial:
        # A later origin may have moved the copy on: what counts is what it holds now. Had one had
        # the deny list of the same state, the others would have found it in the copy.
        files = verify_kept(root=root, now=now, metadata=metadata, targets=targets, wanted=wanted)
        if problem is None or files.emergency is not None:
            return files
        return replace(files, emergency_problem=problem)
    raise UpdateError("; ".join(problems) or "there is no origin to fetch from")


def verify_kept(
    *, root: bytes, now: datetime, metadata: Path, targets: Path, wanted: Wanted = NOBODY
) -> SignedFiles:
    """Verify what is kept and return it; ask no network, and write nothing.

    Args:
        root: The root metadata that ships with the application.
        now: The time as of which to verify.
        metadata: The folder of the metadata.
        targets: The folder of the targets.
        wanted: The hosts whose own pins are returned too.

    Raises:
        UpdateError: It does not verify.
        OSError: It cannot be read.
    """
    start = _starting(_ReadingUpdater, KeptMetadata(metadata), root, metadata, targets)
    return verified_files(start, now, (metadata, targets), wanted)


def _starting(
    kind: type[Updater], fetcher: FetcherInterface, root: bytes, metadata: Path, targets: Path
) -> Callable[[], Updater]:
    """Return what begins to verify: that may fail too."""
    return partial(
        kind, str(metadata), METADATA, str(targets), TARGETS, fetcher, CONFIG, bootstrap=root
    )


class _WritingUpdater(Updater):
    """Leaves the shipped root alone where it is kept already: an idle refresh writes nothing."""

    def refresh(self) -> None:
        """Refresh, and take away kept roots that do not count: a reader would stumble over them."""
        super().refresh()
        for path in Path(self._dir, "root_history").glob("*.root.json"):
            version = path.name.partition(".")[0]
            if version.isdecimal() and int(version) > self._trusted_set.root.version:
                path.unlink()

    def _persist_root(self, version: int, data: bytes) -> None:
        path = Path(self._dir, "root_history", f"{version}.root.json")
        if not path.is_file() or path.read_bytes() != data:
            super()._persist_root(version, data)

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        """Leave the bin that is kept where another one has come for it."""
        if is_bin(rolename):
            table_of(cast("Targets", self._trusted_set[rolename]), rolename)
        super()._persist_metadata(rolename, data)


class _ReadingUpdater(Updater):
    """Verifies a folder without writing into it: others read it too, and the disk may be full."""

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        pass

    def _persist_root(self, version: int, data: bytes) -> None:
        pass

    def _update_root_symlink(self) -> None:
        pass
