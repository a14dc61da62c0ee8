"""What may become of a cache, and of those who share it.

After each: the pins in force are the newest that were ever verified, or the seed.
"""

import itertools
import multiprocessing
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from holdfast.updates.freshness import State
from tests.updates.followed import (
    Followed,
    assert_follows,
    assert_in_force,
    die_following,
    follow_forever,
    follow_often,
    follow_some_times,
    pin,
)
from tests.updates.origin import send, sending
from tests.updates.signed_repository import SignedRepository

# Forked from a process of its own: this one has threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.updates.followed"])

full = pytest.mark.full
long = [full, pytest.mark.timeout(300)]
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts, and gives files away")


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    """A repository, and an application that follows it."""
    with Followed(tmp_path) as followed:
        yield followed


@pytest.fixture
def busy(followed: Followed) -> Iterator[SignedRepository]:
    """A publisher with something new for each who asks."""
    publishing = threading.Lock()
    path = "metadata/timestamp.json"

    def answer(request: BaseHTTPRequestHandler) -> None:
        with publishing:
            followed.repository.publish(roles=["emergency", "targets"])
            content = followed.repository.files[path]
        send(request, content)

    followed.origin.answers[path] = answer
    yield followed.repository
    del followed.origin.answers[path]


def _missing(path: Path) -> None:
    path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write another file in its place: a link to it elsewhere keeps what it has."""
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o600)


def _truncated(path: Path) -> None:
    content = path.read_bytes()
    _replace(path, content[: len(content) // 2])


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    _replace(path, bytes(content))


DAMAGES: list[Callable[[Path], None]] = [_missing, _truncated, _flipped]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("share", [3, pytest.param(1, marks=long)])
def test_each_file_of_a_damaged_cache(
    followed: Followed, damage: Callable[[Path], None], share: int
) -> None:
    """Whichever file it is: the newest pins or the seed, what is denied, and all well after it."""
    followed.followed_to(2)
    followed.repository.deny(pin(1))
    followed.repository.publish(roles=["emergency"])
    followed.followed_to(3)
    cache, whole = followed.application.cache, followed.application.folder / "whole"
    shutil.copytree(cache, whole, symlinks=True)
    places = sorted(
        path.relative_to(cache)
        for path in cache.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    assert 25 < len(places)

    for place in places[DAMAGES.index(damage) % share :: share]:
        damage(cache / place)
        running = followed.application.start()
        serial = running.in_force.serial
        assert serial in {1, 3}, place
        assert_in_force(running, serial)
        assert (serial == 1) <= bool(running.in_force.notes), place
        assert (pin(1),) == running.current().denied, place
        assert_follows(running, 3)
        again = followed.application.start()
        assert_in_force(again, 3)
        assert () == again.in_force.notes, place
        shutil.rmtree(cache)
        shutil.copytree(whole, cache, symlinks=True)


def test_an_exchanged_root_in_the_cache(followed: Followed, tmp_path: Path) -> None:
    """Whoever exchanges what is kept, and answers as the origin, is not believed."""
    running = followed.followed_to(2)
    (tmp_path / "attacker").mkdir()
    with Followed(tmp_path / "attacker") as attacker:
        attacker.repository.rotate()
        attacker.followed_to(5)
        theirs = attacker.application.cache / "work" / "metadata"
        for ours in followed.application.cache.rglob("metadata"):
            shutil.rmtree(ours)
            shutil.copytree(theirs, ours, symlinks=True)
        followed.origin.files = attacker.repository.files

        assert "signed by 0/" in running.refresh().reason
        assert_in_force(running, 2)
        again = followed.application.start()
        assert_in_force(again, 1)
        assert any("the cache cannot be used" in note for note in again.in_force.notes)

    followed.origin.files = followed.repository.files
    assert_follows(again, 2)
    assert_follows(running, 2)


# What is kept in each place, and what is in force where that is not to be trusted.
PLACES = {
    "": 1,
    "gen": 1,
    "gen/1": 1,
    "gen/1/targets/pins.bundle.json": 1,
    "current": 1,
    "floor.a": 1,
    "work": 2,
    "lock": 2,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_link", [True, False], ids=["symlinked", "world-writable"])
def test_a_cache_that_others_may_have_written(
    followed: Followed, tmp_path: Path, place: str, *, is_link: bool
) -> None:
    """Nothing is taken from there, and a refresh says so, or makes a generation beside it."""
    running = followed.followed_to(2)
    path = followed.application.cache / place if place else followed.application.cache
    mode = path.stat().st_mode & 0o777
    if is_link:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.chmod(0o777)
    followed.repository.publish()
    again = followed.application.start()
    assert_in_force(again, PLACES[place])

    answers = [running.refresh(), again.refresh()]
    if place == "gen/1" or (is_link and place.startswith("gen/")):
        assert [True, True] == [answer.succeeded for answer in answers]
        assert_in_force(followed.application.start(), 3)
        return
    for answer in answers:
        assert "is a link" in answer.reason or "can be written by others" in answer.reason
    assert_in_force(running, 2)
    assert_in_force(again, PLACES[place])

    if is_link:
        path.unlink()
        (tmp_path / "elsewhere").rename(path)
    else:
        path.chmod(mode)
    assert_follows(running, 3)
    assert_follows(again, 3)


def _told(told: Connection) -> list[object]:
    """Return what a child that was killed has told."""
    answers = []
    with suppress(EOFError):
        while told.poll():
            answers.append(told.recv())
    return answers


@pytest.mark.parametrize("kills", [3, pytest.param(150, marks=long)])
def test_kills_at_random_moments(followed: Followed, busy: SignedRepository, kills: int) -> None:
    """After each, the newest pins that were in force are in force, and nothing is wrong."""
    chance = random.Random(kills)
    assert followed.application.start().refresh().succeeded
    in_force = followed.application.start().in_force.serial
    for _ in range(kills):
        told, teller = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=follow_forever, args=(followed.application, teller))
        child.start()
        teller.close()
        assert told.poll(15)
        time.sleep(chance.random() * 0.1)
        child.kill()
        child.join()
        answers = _told(told)
        told.close()
        assert [int] * len(answers) == list(map(type, answers)), answers

        again = followed.application.start()
        assert_in_force(again, again.in_force.serial)
        assert max([in_force, *map(int, map(str, answers))]) <= again.in_force.serial <= busy.serial
        assert () == again.in_force.notes
        in_force = again.in_force.serial
    assert_follows(followed.application.start(), busy.serial + 1)


@full
@pytest.mark.timeout(300)
def test_a_death_at_each_step(followed: Followed) -> None:
    """Dying before any change that a refresh makes to the cache loses nothing."""
    followed.followed_to(2)
    for step in itertools.count():
        before = followed.application.start().in_force.serial
        followed.repository.publish(roles=["emergency", "targets"])
        child = PROCESSES.Process(target=die_following, args=(followed.application, step))
        child.start()
        child.join()

        again = followed.application.start()
        assert again.in_force.serial in {before, followed.repository.serial}
        assert_in_force(again, again.in_force.serial)
        assert () == again.in_force.notes
        if child.exitcode == 0:
            break
        assert 9 == child.exitcode
    assert step > 40
    assert_in_force(followed.application.start(), followed.repository.serial)


@full
@pytest.mark.timeout(300)
def test_a_death_while_denials_come_without_pins(followed: Followed) -> None:
    """Dying at any step of that leaves the pins, and the key denied or not, but nothing else."""
    followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    version = followed.repository.signed("pins").version
    followed.origin.answers[f"metadata/{version}.pins.json"] = sending(b"", status=404)
    whole = followed.application.folder / "whole"
    shutil.copytree(followed.application.cache, whole, symlinks=True)
    seen = set()
    for step in itertools.count():
        shutil.rmtree(followed.application.cache)
        shutil.copytree(whole, followed.application.cache, symlinks=True)
        child = PROCESSES.Process(target=die_following, args=(followed.application, step))
        child.start()
        child.join()

        again = followed.application.start()
        assert_in_force(again, 2)
        assert set(again.in_force.notes) <= {
            f"{followed.application.cache / 'denied.b'} is damaged"  # not written yet
        }
        seen.add(again.current().denied)
        assert not again.refresh().succeeded
        assert (pin(2),) == again.current().denied
        if child.exitcode == 0:
            break
    assert {(), (pin(2),)} == seen


@pytest.mark.parametrize(
    ("processes", "times"),
    [(2, 3), pytest.param(2, 100, marks=long), pytest.param(8, 40, marks=long)],
)
def test_many_processes(
    followed: Followed, busy: SignedRepository, processes: int, times: int
) -> None:
    """Each refresh of each process succeeds or waits in vain, and what is in force is whole."""
    running = []
    for _ in range(processes):
        told, teller = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=follow_often, args=(followed.application, times, teller))
        child.start()
        teller.close()
        running.append((child, told))

    answers = []
    for child, told in running:
        answers.append(told.recv())
        child.join()
        told.close()
    assert [[]] * processes == [problems for _, problems in answers]
    again = followed.application.start()
    assert 0 < sum(succeeded for succeeded, _ in answers) < again.in_force.serial
    assert_in_force(again, again.in_force.serial)


@pytest.mark.parametrize("times", [3, pytest.param(60, marks=long)])
@pytest.mark.parametrize("is_shared", [True, False])
def test_many_threads(
    followed: Followed, busy: SignedRepository, times: int, *, is_shared: bool
) -> None:
    """Four threads of one policy, or each with its own, never see fewer pins than before."""
    one = followed.application.start()
    policies = [one if is_shared else followed.application.start() for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda running: follow_some_times(running, times), policies))

    assert [[], [], [], []] == [problems for _, problems in answers]
    assert 0 < sum(succeeded for succeeded, _ in answers) < busy.serial
    assert_follows(one, busy.serial + 1)


@pytest.mark.parametrize("starts", [40, pytest.param(800, marks=long)])
def test_a_reader_during_updates(followed: Followed, busy: SignedRepository, starts: int) -> None:
    """Each start finds whole pins, and none that are older than the start before."""
    assert followed.application.start().refresh().succeeded
    told, teller = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=follow_forever, args=(followed.application, teller))
    child.start()
    teller.close()
    seen = []
    try:
        assert told.poll(15)
        for _ in range(starts):
            again = followed.application.start()
            assert_in_force(again, again.in_force.serial)
            assert () == again.in_force.notes
            seen.append(again.in_force.serial)
    finally:
        child.kill()
        child.join()
        told.close()

    assert sorted(seen) == seen
    assert len(set(seen)) > 1


@pytest.fixture
def disk(followed: Followed) -> Iterator[Path]:
    """A file system of its own, and a small one, for the cache."""
    folder = followed.application.cache
    folder.mkdir(mode=0o700)
    options = "size=512k,mode=0700"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@is_root
@pytest.mark.parametrize("free", [0, 1, 2, 4, 6, 8, 10, 12])
def test_a_full_disk(followed: Followed, disk: Path, free: int) -> None:
    """With this many free pages: it is said, or went well, and no pins are lost."""
    running = followed.followed_to(2)
    followed.repository.publish(roles=["emergency", "targets"])
    room = os.statvfs(disk).f_bavail - free
    (disk / "filler").write_bytes(bytes(room * os.statvfs(disk).f_frsize))
    answer = running.refresh()

    assert answer.succeeded or "No space left" in answer.reason
    assert not (answer.succeeded and free == 0)
    serial = running.in_force.serial
    assert serial in ({3} if answer.succeeded else {2, 3})
    assert_in_force(running, serial)
    assert_in_force(followed.application.start(), serial)
    (disk / "filler").unlink()
    assert_follows(running, 3)
    assert_follows(followed.application.start(), 3)


@is_root
def test_a_read_only_cache(followed: Followed, disk: Path) -> None:
    """It is loaded as ever, and a refresh says why nothing is kept."""
    running = followed.followed_to(2)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    followed.repository.publish()

    followed.assert_refused(running, "Read-only", 2)
    assert State.FRESH is running.state


def test_no_room_for_a_cache_at_all(followed: Followed) -> None:
    """With a file in its place: the seed, an alarm, and no update."""
    followed.application.cache.write_text("a file")
    running = followed.application.start()

    followed.assert_refused(running, "cannot be|is a link, or no folder", 1)
    assert State.SEED is running.state
    assert 1 == len(running.in_force.notes)
    followed.application.cache.unlink()
    followed.repository.publish()
    assert_follows(running, 2)
