"""What is where in the folder of a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, TargetFile

from holdfast.errors import UpdateError
from holdfast.updates.repository_file import BEFOREHAND
from holdfast.updates.roles import DELEGATED

__all__ = ["check_is_free", "is_repository", "newest_root", "place_of", "read_metadata"]


def read_metadata(folder: Path) -> dict[str, Metadata[Any]]:
    """Return the newest metadata of each role, as clients come to it."""

    def version(role: str, number: int) -> Metadata[Any]:
        return Metadata.from_file(str(folder / f"{number}.{role}.json"))

    timestamp: Metadata[Any] = Metadata.from_file(str(folder / "timestamp.json"))
    snapshot = version("snapshot", timestamp.signed.snapshot_meta.version)
    return {
        "root": version("root", newest_root(folder)),
        "timestamp": timestamp,
        "snapshot": snapshot,
        **{
            role: version(role, snapshot.signed.meta[f"{role}.json"].version)
            for role in ("targets", *DELEGATED)
        },
    }


def newest_root(folder: Path) -> int:
    """Return the version of the newest root metadata."""
    return max(int(path.name.partition(".")[0]) for path in folder.glob("*.root.json"))


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


def place_of(target: TargetFile) -> str:
    """Return where a file is that is listed: its name is that of its content."""
    folder, _, name = target.path.rpartition("/")
    return f"targets/{folder}/{target.hashes['sha256']}.{name}"
