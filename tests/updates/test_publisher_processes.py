"""One repository, and publishers who die over it, meet in it, or find the disk full."""

import errno
import functools
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.policy import Policy
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publication_lock import publishing
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from holdfast.updates.signed_hosts import Wanted
from tests.updates.origin import Origin
from tests.updates.publishing import (
    HOST,
    Publishing,
    die_at,
    host_pins,
    new_keys,
    numbered,
    pin_host,
    publish_forever,
    publish_in_step,
    publish_often,
    resign,
    rotate_pins,
)
from tests.updates.signed_repository import NOW

# Forked from a process of its own: this one has threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.updates.publishing"])

full = pytest.mark.full
HOUR = timedelta(hours=1)


@pytest.fixture
def repository(tmp_path: Path) -> Publishing:
    """A repository with a policy, number 0."""
    return Publishing.begun(tmp_path / "repository")


class Clients:
    """A client that follows, and others that start with an empty cache."""

    def __init__(self, url: str, root: bytes, folder: Path) -> None:
        """Start the one that follows."""
        self._url, self._root, self._folder = url, root, folder
        self._names = map("client {}".format, itertools.count())
        self._following = self._client()

    def _client(self) -> UpdateClient:
        return UpdateClient(
            [OriginFetcher(self._url, None, plain_http=True, deadline=5, gap=2)],
            root=self._root,
            cache=Cache(self._folder / next(self._names)),
            clock=lambda: NOW,
        )

    def see(self) -> Policy:
        """Return what all of them see, which has to be whole and the same."""
        fresh = self._client()
        for client in (self._following, fresh):
            done = client.refresh()
            assert done.succeeded, done.reason
        assert self._following.current() == fresh.current()
        return fresh.current()


@pytest.fixture
def clients(repository: Publishing, serve: Callable[..., Origin], tmp_path: Path) -> Clients:
    """Clients of what is on the disk."""
    root = (repository.folder / "metadata" / "1.root.json").read_bytes()
    return Clients(serve(repository.files).url, root, tmp_path)


def _leftovers(repository: Publishing) -> list[Path]:
    return list(repository.folder.rglob("*.new"))


def _run(target: Callable[..., None], *args: object) -> int | None:
    child = PROCESSES.Process(target=target, args=args)
    child.start()
    child.join()
    return child.exitcode


@full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_death_at_each_step(repository: Publishing, clients: Clients, number: int) -> None:
    """Clients see the old state or the new one, and the next publication clears the rest away."""
    before = numbered(0)
    for step in itertools.count():
        new, after = numbered(2 * step + 1), numbered(2 * step + 2)
        work = functools.partial(repository.publish, 2 * step + 1)
        code = _run(die_at, repository, step, number, work)
        assert clients.see() in {before, new}
        repository.publish(2 * step + 2)
        assert after == clients.see()
        assert [] == _leftovers(repository)
        if code == 0:
            break
        assert -number == code
        before = after
    assert step > 15


@full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "pins"])
def test_a_death_at_each_step_of_a_rotation(
    repository: Publishing, clients: Clients, role: str
) -> None:
    """No root is in force before what its keys have signed is served: nobody is kept out."""
    number = PROFILES["small"][role].keys
    for step in itertools.count():
        fresh = new_keys(number)
        work = functools.partial(repository.rotate, role, fresh)
        code = _run(die_at, repository, step, signal.SIGKILL, work)
        assert numbered(step) == clients.see()
        repository.keys[role] += fresh  # whichever root is in force, its keys are here
        repository.publish(step + 1)
        assert numbered(step + 1) == clients.see()
        if code == 0:
            break
        assert -signal.SIGKILL == code
    assert step >= 4  # the lock, and three for each file


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=[full, pytest.mark.timeout(300)])])
def test_kills_at_random_moments(repository: Publishing, clients: Clients, kills: int) -> None:
    """After each, what is served is whole, and publishing goes on."""
    chance = random.Random(kills)
    seen, first = 0, 1
    for _ in range(kills):
        told, teller = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=publish_forever, args=(repository, first, teller))
        child.start()
        teller.close()
        assert told.poll(10)
        time.sleep(chance.random() * 0.1)
        child.kill()
        child.join()
        while told.poll():
            try:
                first = told.recv()
            except EOFError:
                break
        told.close()

        policies = [numbered(number) for number in range(seen, first + 1)]
        seen += policies.index(clients.see())
        first += 1
    repository.publish(first)
    assert numbered(first) == clients.see()
    assert [] == _leftovers(repository)


@pytest.mark.parametrize(
    ("processes", "times"), [(2, 3), pytest.param(4, 25, marks=[full, pytest.mark.timeout(300)])]
)
def test_many_publishers(
    repository: Publishing, clients: Clients, processes: int, times: int
) -> None:
    """Each waits for the others, and nothing is lost: the serials are as many as publications."""
    running = []
    for index in range(processes):
        told, teller = PROCESSES.Pipe(duplex=False)
        numbers = [index * times + number for number in range(times)]
        child = PROCESSES.Process(target=publish_often, args=(repository, numbers, teller))
        child.start()
        teller.close()
        running.append((child, told))
    for child, told in running:
        assert [] == told.recv()
        child.join()
        told.close()

    clients.see()
    bundle = repository.opened().bundle()
    assert bundle is not None
    assert 1 + processes * times == bundle.serial


def test_who_waits_too_long_is_told(repository: Publishing) -> None:
    """Nothing is written meanwhile."""
    waiting = threading.Event()
    over = threading.Event()

    def hold() -> None:
        with publishing(repository.folder):
            waiting.set()
            over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert waiting.wait(10)
    try:
        with (
            pytest.raises(UpdateError, match="another process"),
            publishing(repository.folder, 0.1),
        ):
            pass
    finally:
        over.set()
        holder.join()
    repository.publish(1)


def test_nothing_is_published_over_what_nobody_has_seen(repository: Publishing) -> None:
    """What was opened before another publication is not written: it would take that back."""
    first, second = repository.opened(), repository.opened()
    first.publish(numbered(1), refresh=HOUR, rules=True)

    with pytest.raises(UpdateError, match="meanwhile"):
        second.publish(numbered(2), refresh=HOUR, rules=True)
    bundle = repository.opened().bundle()
    assert bundle is not None
    assert numbered(1) == bundle.policy


def test_what_was_written_and_never_served_is_in_nobodys_way(
    repository: Publishing, clients: Clients
) -> None:
    """The next publication takes its numbers, with other contents."""
    metadata = repository.folder / "metadata"
    newest = {
        role: max(int(path.name.partition(".")[0]) for path in metadata.glob(f"*.{role}.json"))
        for role in ("pins", "targets", "snapshot")
    }
    for role, version in newest.items():
        (metadata / f"{version + 1}.{role}.json").write_bytes(b"{}")
    (metadata / "timestamp.json.new").write_bytes(b"{")
    assert numbered(0) == clients.see()

    repository.publish(1)

    assert numbered(1) == clients.see()
    assert [] == _leftovers(repository)


NEW_KEY, OTHER_KEY = new_keys(2)
IN_STEP = [
    (functools.partial(pin_host, "a"), functools.partial(pin_host, "b")),
    (resign, functools.partial(pin_host, "b")),
    (functools.partial(rotate_pins, NEW_KEY), functools.partial(rotate_pins, OTHER_KEY)),
]


@pytest.mark.parametrize(("first", "second"), IN_STEP)
def test_two_who_write_bins_at_once(
    repository: Publishing,
    serve: Callable[..., Origin],
    tmp_path: Path,
    first: Callable[[Publisher], object],
    second: Callable[[Publisher], object],
) -> None:
    """Who comes second waits, and is refused: no bin of theirs is published as that of the first.

    Both have opened the repository before, without its lock.
    """
    pin_host("before", repository.opened())
    if first is resign:
        repository = replace(repository, now=NOW + timedelta(days=300))  # when bins are due
    processes, ways = [], []
    for work in (first, second):
        way, theirs = PROCESSES.Pipe()
        processes.append(PROCESSES.Process(target=publish_in_step, args=(repository, work, theirs)))
        processes[-1].start()
        theirs.close()
        ways.append(way)
    assert ["opened", "opened"] == [way.recv() for way in ways]
    for way, patience in zip(ways, (10, 0.5), strict=True):
        way.send("go on")
        way.poll(patience)
    assert "wrote bins" == ways[0].recv()
    ways[0].send("go on")
    assert "published" == ways[0].recv()
    ways[1].send("go on")
    assert "meanwhile" in ways[1].recv()
    for process, way in zip(processes, ways, strict=True):
        process.join()
        way.close()

    root = (repository.folder / "metadata" / "1.root.json").read_bytes()
    client = UpdateClient(
        [OriginFetcher(serve(repository.files).url, None, plain_http=True, deadline=5, gap=2)],
        root=root,
        cache=Cache(tmp_path / "cache"),
        clock=lambda: repository.now,
        wanted=Wanted(frozenset({HOST})),
    )
    done = client.refresh()
    assert done.succeeded, done.reason
    pin_set = client.current().pin_set_for(HOST)
    assert pin_set is not None
    expected = "a" if first is IN_STEP[0][0] else "before"
    assert (host_pins(expected).leaf, ()) == (pin_set.leaf, client.in_force.notes)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, and a small one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _publishes_or_is_full(repository: Publishing) -> bool:
    try:
        repository.publish(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@pytest.mark.parametrize("free", [0, 1, 2, 3, 4, 6, 8])
def test_a_full_disk(disk: Path, serve: Callable[..., Origin], tmp_path: Path, free: int) -> None:
    """With this many free pages: it says so or succeeds, and what was served still is."""
    repository = Publishing.begun(disk / "repository")
    root = (repository.folder / "metadata" / "1.root.json").read_bytes()
    clients = Clients(serve(repository.files).url, root, tmp_path)
    room = os.statvfs(disk).f_bavail - free
    (disk / "filler").write_bytes(bytes(room * os.statvfs(disk).f_frsize))
    is_published = _publishes_or_is_full(repository)

    assert not (is_published and free == 0)
    assert numbered(1 if is_published else 0) == clients.see()
    (disk / "filler").unlink()
    repository.publish(2)
    assert numbered(2) == clients.see()
    assert [] == _leftovers(repository)
