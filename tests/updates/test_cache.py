import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.errors import CacheError, UpdateError
from holdfast.updates.cache import Cache, state_folder
from holdfast.updates.freshness import Floor
from holdfast.updates.generations import Generation
from holdfast.updates.memory import Memory
from tests.updates.client import Client, serial_of
from tests.updates.origin import Origin, sending
from tests.updates.signed_repository import NOW, SignedRepository

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts, and gives files away")


def tree(folder: Path, but: str = "root.json") -> dict[str, tuple[int, int]]:
    """Return what a write to a file would change, but for a name; python-tuf remakes one link."""
    return {
        str(path.relative_to(folder)): (status.st_ino, status.st_mtime_ns)
        for path in folder.rglob("*")
        for status in [path.lstat()]
        if but not in path.parts and not stat.S_ISDIR(status.st_mode)
    }


def test_no_cache_yet(client: Client) -> None:
    """Where nothing is kept, there is nothing to load, and reading makes nothing."""
    assert client.load() is None
    assert Memory() == client.cache.memory()
    assert not client.folder.exists()


def test_what_was_sealed_is_loaded(client: Client, origin: Origin) -> None:
    """After a refresh, the files are there without the origin, as of the time of the refresh."""
    client.refresh()
    origin.answers["*"] = sending(b"", status=503)

    loaded = client.load()

    assert loaded is not None
    assert (1, ()) == (serial_of(loaded.value), loaded.rejected)
    assert (1, NOW) == (loaded.generation.number, loaded.generation.verified_at)
    assert Memory(Floor(1, 1, NOW), frozenset({"sha256/denied"})) == client.cache.memory()


def test_an_idle_refresh_writes_nothing(client: Client) -> None:
    """Where nothing is new, the generation in force stays, and so does all else."""
    client.refresh()
    before = tree(client.folder)
    client.refresh()

    assert before == tree(client.folder)


def test_loading_writes_nothing(client: Client) -> None:
    """A reader leaves no trace, not even in python-tuf's own copy."""
    client.refresh()
    before = {path: path.lstat().st_mtime_ns for path in client.folder.rglob("*")}
    client.serial()

    assert before == {path: path.lstat().st_mtime_ns for path in client.folder.rglob("*")}


def test_everything_is_for_this_user_alone(client: Client) -> None:
    """Whatever the process's mask: files 0600, folders 0700."""
    before = os.umask(0)
    try:
        client.refresh()
    finally:
        os.umask(before)

    modes = {
        (stat.S_ISDIR(status.st_mode), stat.S_IMODE(status.st_mode))
        for path in [client.folder, *client.folder.rglob("*")]
        for status in [path.lstat()]
        if not path.is_symlink()
    }
    assert {(True, 0o700), (False, 0o600)} == modes


def test_a_refresh_that_fails_changes_nothing_in_force(
    repository: SignedRepository, client: Client, origin: Origin
) -> None:
    """What is in force stays, and python-tuf may remember more."""
    client.refresh()
    repository.publish()
    before = tree(client.folder, "work")
    origin.answers["metadata/2.pins.json"] = sending(b"{}")

    with pytest.raises(UpdateError):
        client.refresh()

    assert before == tree(client.folder, "work")
    assert 1 == client.serial()
    shown = (client.folder / "work" / "metadata" / "timestamp.json").read_bytes()
    assert repository.bytes_of("timestamp") == shown


def test_a_generation_removed_while_it_is_read(
    repository: SignedRepository, client: Client
) -> None:
    """A reader that is overtaken twice begins anew with the newest."""
    client.refresh()
    overtaken: list[int] = []

    def slow(generation: Generation) -> int:
        if not overtaken:
            overtaken.append(generation.number)
            for _ in range(2):
                repository.publish()
                client.refresh()
        return serial_of(client.verify(generation))

    loaded = client.cache.load(slow)
    assert loaded is not None
    assert ([1], 3, ()) == (overtaken, loaded.value, loaded.rejected)


def test_a_cache_that_is_always_overtaken(
    repository: SignedRepository, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader gives up in the end, with a plain message."""
    monkeypatch.setattr("holdfast.updates.cache._MOST_TRIES", 2)
    client.refresh()

    def slow(generation: Generation) -> None:
        for _ in range(2):
            repository.publish()
            client.refresh()
        client.verify(generation)

    with pytest.raises(CacheError, match="changes faster"):
        client.cache.load(slow)


def test_only_one_refreshes(client: Client) -> None:
    """A second one waits no longer than its deadline, and says why."""
    with (
        client.cache.refreshing(),
        pytest.raises(CacheError, match="being refreshed"),
        client.cache.refreshing(0.05),
    ):
        pass
    with client.cache.refreshing(0.05):
        pass


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _loads_newest_or_says_why(client: Client) -> bool:
    try:
        loaded = client.load()
    except CacheError as error:
        return "nothing to use: generation 3" in str(error)
    return loaded is not None and (
        serial_of(loaded.value) == 3 or "generation 3" in loaded.rejected[0]
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["gen/2", "gen/3", "work", ""])
@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink])
def test_damaged_files(
    repository: SignedRepository, client: Client, damage: Callable[[Path], None], part: str
) -> None:
    """The newest is loaded, or an older one with the reason, and a refresh mends the file."""
    for _ in range(2):
        client.refresh()
        repository.publish(roles=["emergency", "targets"])
    client.refresh()
    whole = client.folder.with_name("whole")
    client.folder.rename(whole)
    found = (whole / part).rglob("*") if part else whole.iterdir()
    names = [path.relative_to(whole) for path in found if path.is_file()]
    assert len(names) > 5

    for name in names:
        shutil.rmtree(client.folder, ignore_errors=True)
        subprocess.run(["cp", "-a", whole, client.folder], check=True)  # links stay links
        damage(client.folder / name)
        assert _loads_newest_or_says_why(client)
        client.refresh()
        assert 3 == client.serial()
        assert Memory(Floor(1, 3, NOW), frozenset({"sha256/denied"})) == client.cache.memory()


PARTS = ["", "gen", "gen/1", "gen/1/metadata", "gen/1/targets/pins.bundle.json", "current"]


@pytest.mark.parametrize("name", PARTS)
def test_a_link_in_the_cache(client: Client, name: str) -> None:
    """A link is refused wherever it stands, though it leads to the very same."""
    client.refresh()
    path = client.folder / name if name else client.folder
    elsewhere = client.folder.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)

    with pytest.raises(CacheError, match="is a link"):
        client.load()


@pytest.mark.parametrize("name", PARTS)
def test_a_cache_that_others_may_write(client: Client, name: str) -> None:
    """What anybody may have put there is refused."""
    client.refresh()
    (client.folder / name).chmod(0o777)

    with pytest.raises(CacheError, match="can be written by others"):
        client.load()


@is_root
@pytest.mark.parametrize("name", PARTS)
def test_a_cache_of_another(client: Client, name: str) -> None:
    """What belongs to another user is refused."""
    client.refresh()
    os.chown(client.folder / name, 12345, -1)

    with pytest.raises(CacheError, match="belongs to user 12345"):
        client.load()


@pytest.mark.parametrize("name", ["", "gen", "work", "work/metadata", "work/targets", "lock"])
@pytest.mark.parametrize("is_link", [True, False])
def test_refreshing_looks_first(client: Client, name: str, is_link: bool) -> None:
    """Nothing is written where others could have prepared it."""
    client.refresh()
    path = client.folder / name if name else client.folder
    elsewhere = client.folder.with_name("elsewhere")
    if is_link:
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    else:
        path.chmod(0o777)

    with pytest.raises(CacheError, match="is a link" if is_link else "written by others"):
        client.refresh()


def test_a_link_among_the_metadata(client: Client) -> None:
    """A link that is not python-tuf's own stops the refresh."""
    client.refresh()
    path = client.folder / "work" / "metadata" / "timestamp.json"
    path.unlink()
    path.symlink_to("/etc/passwd")

    with pytest.raises(CacheError, match="is a link"):
        client.refresh()


def test_no_place_for_a_cache(tmp_path: Path) -> None:
    """What is in the way, or missing, is said in one class of errors."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(CacheError, match="cannot be written"),
        Cache(tmp_path / "file" / "cache").refreshing(),
    ):
        pass
    with pytest.raises(CacheError, match="cannot be read"):
        Cache(tmp_path / "file" / "cache").memory()


def test_where_state_is_kept() -> None:
    """XDG's place counts before the home folder, and a relative one not at all."""
    assert Path("/state/holdfast") == state_folder({"XDG_STATE_HOME": "/state", "HOME": "/h"})
    assert Path("/h/.local/state/holdfast") == state_folder({"XDG_STATE_HOME": "s", "HOME": "/h"})
    for environment in ({}, {"HOME": ""}, {"HOME": "h"}):
        with pytest.raises(CacheError, match="HOME"):
            state_folder(environment)


@pytest.fixture
def disk(client: Client) -> Iterator[Path]:
    """A file system of its own, and a small one, for the cache."""
    client.folder.mkdir(mode=0o700)
    options = "size=512k,mode=0700"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(client.folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield client.folder
    subprocess.run(["umount", str(client.folder)], check=True)


def _refreshes_or_is_full(client: Client) -> bool:
    try:
        client.refresh()
    except CacheError as error:
        if "No space left" not in str(error):
            raise
        return False
    return True


@is_root
@pytest.mark.parametrize("free", [0, 1, 2, 4, 6, 8, 10, 12])
def test_a_full_disk(repository: SignedRepository, client: Client, disk: Path, free: int) -> None:
    """With this many free pages: the refresh says so or succeeds, and nothing in force is lost."""
    client.refresh()
    repository.publish(roles=["emergency", "targets"])
    room = os.statvfs(disk).f_bavail - free
    (disk / "filler").write_bytes(bytes(room * os.statvfs(disk).f_frsize))
    is_refreshed = _refreshes_or_is_full(client)

    assert not (is_refreshed and free == 0)
    assert client.serial() in ({2} if is_refreshed else {1, 2})
    assert client.cache.memory().floor.serial in {1, 2}
    (disk / "filler").unlink()
    assert 2 == client.refresh() == client.serial()


@is_root
def test_a_read_only_disk(repository: SignedRepository, client: Client, disk: Path) -> None:
    """A cache on it is loaded as ever, and a refresh says what is wrong."""
    client.refresh()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    repository.publish()

    with pytest.raises(CacheError, match="Read-only"):
        client.refresh()
    assert 1 == client.serial()
    assert Floor(1, 1, NOW) == client.cache.memory().floor


def test_the_clock_does_not_matter_for_what_is_kept(
    repository: SignedRepository, client: Client
) -> None:
    """A generation is verified as of its own time: no clock makes it older or newer."""
    client.refresh()
    repository.publish()
    client.refresh()

    loaded = client.load()
    assert loaded is not None
    assert (NOW, 2) == (loaded.generation.verified_at, serial_of(loaded.value))
