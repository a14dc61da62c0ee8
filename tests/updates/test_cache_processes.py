"""One cache, and many who use it at once or die over it."""

import itertools
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection

import pytest

from tests.updates.client import (
    Client,
    die_at,
    failures_of,
    fork_while_refreshing,
    refresh_forever,
    refresh_often,
)
from tests.updates.origin import Origin, send
from tests.updates.signed_repository import SignedRepository

# Forked from a process of its own: this one has threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.updates.client"])

full = pytest.mark.full


@pytest.fixture
def busy(repository: SignedRepository, origin: Origin) -> Iterator[SignedRepository]:
    """A publisher with something new for each who asks."""
    publishing = threading.Lock()
    path = "metadata/timestamp.json"

    def answer(request: BaseHTTPRequestHandler) -> None:
        with publishing:
            repository.publish(roles=["emergency", "targets"])
            content = repository.files[path]
        send(request, content)

    origin.answers[path] = answer
    yield repository
    del origin.answers[path]


def _drain(told: Connection) -> list[int]:
    serials = []
    while told.poll():
        try:
            serials.append(told.recv())
        except EOFError:
            break
    return serials


@pytest.mark.parametrize("kills", [5, pytest.param(150, marks=[full, pytest.mark.timeout(300)])])
def test_kills_at_random_moments(busy: SignedRepository, client: Client, kills: int) -> None:
    """After each, the newest that was in force is in force, whole, and the floor is not above."""
    chance = random.Random(kills)
    client.refresh()
    in_force = 1
    for _ in range(kills):
        told, teller = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=refresh_forever, args=(client, teller))
        child.start()
        teller.close()
        assert told.poll(10)
        time.sleep(chance.random() * 0.1)
        child.kill()
        child.join()
        in_force = max([in_force, *_drain(told)])
        told.close()

        serial = client.serial()
        assert in_force <= serial <= busy.serial
        assert client.cache.memory().floor.serial <= serial
        in_force = serial

    newest = client.refresh()
    assert in_force < newest == client.serial()


@full
@pytest.mark.timeout(300)
def test_a_death_at_each_step(repository: SignedRepository, client: Client) -> None:
    """Dying before any change that a refresh makes to the cache loses nothing."""
    client.refresh()
    for step in itertools.count():
        before = client.serial()
        repository.publish(roles=["emergency", "targets"])
        child = PROCESSES.Process(target=die_at, args=(client, step))
        child.start()
        child.join()

        serial = client.serial()
        assert serial in {before, repository.serial}
        assert client.cache.memory().floor.serial <= serial
        if child.exitcode == 0:
            break
        assert 9 == child.exitcode
    assert step > 40
    assert repository.serial == client.serial()


@pytest.mark.parametrize(
    ("processes", "times"),
    [
        (2, 5),
        pytest.param(2, 150, marks=[full, pytest.mark.timeout(300)]),
        pytest.param(8, 60, marks=[full, pytest.mark.timeout(300)]),
    ],
)
def test_many_processes(busy: SignedRepository, client: Client, processes: int, times: int) -> None:
    """Each refresh of each process succeeds; python-tuf alone failed in 56 of 780."""
    running = []
    for _ in range(processes):
        told, teller = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=refresh_often, args=(client, times, teller))
        child.start()
        teller.close()
        running.append((child, told))

    for child, told in running:
        assert [] == told.recv()
        child.join()
        told.close()
    assert client.serial() >= processes * times


@pytest.mark.parametrize("times", [3, pytest.param(60, marks=[full, pytest.mark.timeout(300)])])
def test_many_threads(busy: SignedRepository, client: Client, times: int) -> None:
    """The lock holds between threads as well."""
    with ThreadPoolExecutor(4) as threads:
        failures = list(threads.map(lambda _: failures_of(client, times), range(4)))

    assert [[], [], [], []] == failures
    assert client.serial() >= 4 * times


@pytest.mark.parametrize("reads", [60, pytest.param(800, marks=[full, pytest.mark.timeout(300)])])
def test_a_reader_during_updates(busy: SignedRepository, client: Client, reads: int) -> None:
    """Each reading is whole, and none is older than the one before; once 404 of 772 were torn."""
    client.refresh()
    told, teller = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=refresh_forever, args=(client, teller))
    child.start()
    teller.close()
    try:
        assert told.poll(10)
        seen = [client.serial() for _ in range(reads)]
    finally:
        child.kill()
        child.join()
        told.close()

    assert sorted(seen) == seen
    assert len(set(seen)) > 1


def test_a_lock_that_a_child_has_inherited(client: Client) -> None:
    """A process that was forked in the middle of a refresh keeps nobody out after it."""
    told, teller = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=fork_while_refreshing, args=(client, teller))
    child.start()
    teller.close()

    assert "free" == told.recv()
    child.join()
    told.close()
