import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from tests.updates.client import Client
from tests.updates.origin import Origin, sending
from tests.updates.signed_repository import SignedRepository


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    """What has been written to the disk: files and folders as they were then."""
    synced: set[tuple[int, int]] = set()
    sync = os.fsync

    def note(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.add((status.st_ino, status.st_mtime_ns))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return synced


def _not_synced(paths: Iterable[Path], synced: set[tuple[int, int]]) -> list[Path]:
    states = {path: path.lstat() for path in paths}
    return [
        path
        for path, status in states.items()
        if not path.is_symlink() and (status.st_ino, status.st_mtime_ns) not in synced
    ]


def test_what_is_in_force_outlasts_a_crash(client: Client, synced: set[tuple[int, int]]) -> None:
    """After a refresh each file and folder is on the disk as it is, python-tuf's own ones too."""
    client.refresh()

    everything = [client.folder, *client.folder.rglob("*")]
    assert [client.folder / "lock"] == _not_synced(everything, synced)


def test_what_was_learned_outlasts_a_crash(
    repository: SignedRepository, client: Client, origin: Origin, synced: set[tuple[int, int]]
) -> None:
    """After a refresh that has failed, the newest timestamp is on the disk all the same."""
    client.refresh()
    origin.answers["metadata/2.pins.json"] = sending(b"{}")
    repository.publish()
    synced.clear()
    with pytest.raises(UpdateError):
        client.refresh()

    folder = client.folder / "work" / "metadata"
    changed = [folder, folder / "timestamp.json", folder / "snapshot.json"]
    assert [] == _not_synced(changed, synced)


def test_what_a_kill_has_left_is_cleared_away(client: Client) -> None:
    """Drafts of python-tuf's and of our own are removed by the next refresh."""
    client.refresh()
    left = [
        client.folder / "work" / "metadata" / "tmpabcdef",
        client.folder / "work" / "targets" / "pins.bundle.part",
        client.folder / "gen" / "2.draft",
    ]
    for path in left[:2]:
        path.touch(0o600)
    left[2].mkdir(0o700)

    client.refresh()

    assert [] == [path for path in left if path.exists()]
