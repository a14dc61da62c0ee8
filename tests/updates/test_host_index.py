import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import CacheError, HoldfastError, PolicyError, UpdateError
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin import Pin
from holdfast.updates.host_index import HostIndex, change_index, write_index
from tests.updates.host_repository import SET, host, pins, policy_of

DIGEST = "0" * 64
MANY = {host(number): pins(str(number)) for number in range(3000)} | {
    "all.example.com": HostPins(
        leaf=(Pin.of_spki(b"leaf"),),
        backup=(Pin.of_certificate(b"whole"), Pin.of_spki(b"backup")),
        ca=(Pin.of_spki(b"ca"), Pin.of_certificate(b"another")),
    ),
    "::1": pins("an address"),
}
A = host(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three thousand hosts."""
    write_index(tmp_path / "hosts.sqlite", sorted(MANY.items()))
    return tmp_path / "hosts.sqlite"


@pytest.fixture
def index(path: Path) -> HostIndex:
    """The open file."""
    return HostIndex(path, DIGEST)


def test_what_is_written_is_found(index: HostIndex) -> None:
    """Each host with its pins in their roles, in whatever way it is asked."""
    assert MANY == dict(index)
    assert sorted(MANY) == list(index)
    assert len(MANY) == len(index)
    assert "x.example.com" not in index
    assert index.get("x.example.com") is None
    with pytest.raises(KeyError):
        index["H1.example.com"]


def test_files_are_equal_by_their_digest(path: Path, index: HostIndex) -> None:
    """A million hosts are not compared to see that nothing has changed."""
    same, other = HostIndex(path, DIGEST), HostIndex(path, "1" * 64)

    assert (index, hash(index)) == (same, hash(same))
    assert other != index != dict(index)
    assert index
    policies = [replace(policy_of(SET), host_pins=one) for one in (index, same, other)]
    assert policies[0] == policies[1] != policies[2]


def test_changes_are_made_in_place(path: Path) -> None:
    """Hosts are added, changed and removed, and the rest stays."""
    changes = {A: pins("new"), "new.example.com": pins("added"), host(2): None, "none": None}
    change_index(path, changes)

    expected = {**MANY, A: pins("new"), "new.example.com": pins("added")}
    del expected[host(2)]
    assert expected == dict(HostIndex(path, DIGEST))


def test_it_works_on_when_its_file_is_gone(path: Path, index: HostIndex) -> None:
    """A generation of the cache is removed while a policy of it is still in force."""
    path.unlink()

    assert MANY == dict(index)


def test_threads_share_it(index: HostIndex) -> None:
    """Each look-up has the answer to its own question."""

    def ask(start: int) -> bool:
        hosts = [host(number) for number in range(start, 3000, 8)] * 5
        return all(MANY[name] == index[name] for name in hosts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_children_share_it(path: Path, index: HostIndex) -> None:
    """Forked while other threads look up, with the file gone; none waits for them for ever."""
    path.unlink()
    is_over = False

    def ask() -> None:
        while not is_over:
            assert MANY[A] == index[A]

    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(ask) for _ in range(2)]
        try:
            for _ in range(10):
                child = os.fork()
                if not child:
                    try:
                        found = all(
                            MANY[host(number)] == index[host(number)] for number in range(50)
                        )
                        os._exit(0 if found else 1)
                    finally:
                        os._exit(2)
                assert 0 == os.waitpid(child, 0)[1]
        finally:
            is_over = True
    assert [None, None] == [one.result() for one in busy]


Change = Callable[[sqlite3.Connection], object]


def run(*statements: str) -> Change:
    """Return what runs statements."""
    return lambda connection: [connection.execute(one) for one in statements]


def changed(path: Path, change: Change) -> Path:
    """Change a file as whoever signs it may."""
    connection = sqlite3.connect(path, isolation_level=None)
    change(connection)
    connection.close()
    return path


@pytest.mark.parametrize(
    "change",
    [
        run("CREATE TABLE more (host TEXT)"),
        run("CREATE VIEW more AS SELECT * FROM hosts"),
        run("CREATE TRIGGER more AFTER INSERT ON hosts BEGIN DELETE FROM hosts; END"),
        run("CREATE INDEX more ON hosts (leaf)"),
        run("DROP TABLE hosts"),
        run("ALTER TABLE hosts ADD COLUMN mode TEXT"),
        run("ALTER TABLE hosts RENAME TO others"),
        run(
            "DROP TABLE hosts",
            "CREATE VIEW hosts AS SELECT 'x' AS host, x'' AS leaf, x'' AS backup, x'' AS ca",
        ),
        run("DROP TABLE hosts", "CREATE TABLE hosts (host TEXT PRIMARY KEY, leaf, backup, ca)"),
        run("PRAGMA application_id = 1"),
        run("PRAGMA user_version = 0"),
        run(
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET sql = 'CREATE TABLE hosts (host, leaf AS (load(1)))'",
        ),
        run("PRAGMA writable_schema = ON", "UPDATE sqlite_master SET rootpage = 99999"),
    ],
    ids=[
        "another table",
        "a view",
        "a trigger",
        "an index",
        "no table",
        "another column",
        "another name",
        "a view of its name",
        "other columns",
        "another application",
        "no format",
        "a text that runs something",
        "no page",
    ],
)
def test_more_or_less_than_the_table_is_refused(path: Path, change: Change) -> None:
    """Whoever signs the file has SQLite do nothing but look-ups in one plain table."""
    with pytest.raises(UpdateError, match="no file of host pins"):
        HostIndex(changed(path, change), DIGEST)


def test_a_newer_format_is_told(path: Path) -> None:
    """It may be all right; this version does not know."""
    with pytest.raises(UpdateError, match="of a newer Holdfast"):
        HostIndex(changed(path, run("PRAGMA user_version = 2")), DIGEST)


@pytest.mark.parametrize("content", [b"", b"x", b"no database" * 1000, b"SQLite format 3\0" * 500])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, short, or something else."""
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(UpdateError, match="no file of host pins"):
        HostIndex(tmp_path / "other", DIGEST)
    with pytest.raises(CacheError, match="cannot be opened"):
        HostIndex(tmp_path / "missing", DIGEST)


PIN = "01" + "ab" * 32


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("leaf = x'', backup = x''", "the host has no pins"),
        ("leaf = x'00'", "no list of pins"),
        (f"leaf = x'{PIN[:-2]}'", "no list of pins"),
        (f"leaf = x'{PIN * 33}'", "no list of pins"),
        (f"leaf = x'{PIN * 20}', ca = x'{PIN * 20}'", "at most 32"),
        (f"leaf = x'{PIN * 2}'", "stands in leaf[0] already"),
        (f"leaf = x'03{PIN[2:]}'", "an unknown kind"),
        (f"leaf = x'01{'00' * 32}'", "all zeros"),
        ("leaf = 'text'", "no list of pins"),
        ("leaf = 7", "no list of pins"),
        ("leaf = zeroblob(60000)", "no list of pins"),
    ],
)
def test_an_entry_with_a_mistake_is_an_error(path: Path, columns: str, told: str) -> None:
    """For its host alone, and never "no pins"; the policy passes the error on."""
    index = HostIndex(changed(path, run(f"UPDATE hosts SET {columns} WHERE host = '{A}'")), DIGEST)

    for ask in (index.get, replace(policy_of(SET), host_pins=index).pin_set_for):
        with pytest.raises(PolicyError) as caught:
            ask(A)
        assert told in str(caught.value)
        assert A in str(caught.value)
    assert MANY[host(2)] == index[host(2)]


def test_a_value_without_end_is_an_error(path: Path) -> None:
    """No look-up takes a gigabyte of memory."""
    statement = f"UPDATE hosts SET leaf = zeroblob(100000000) WHERE host = '{A}'"
    index = HostIndex(changed(path, run(statement)), DIGEST)

    with pytest.raises(CacheError, match="cannot be read"):
        index[A]


def test_pins_that_break_a_rule_of_the_set_are_an_error(path: Path) -> None:
    """One pin is not enough for an enforced set, in a file either."""
    index = HostIndex(
        changed(path, run(f"UPDATE hosts SET backup = x'' WHERE host = '{A}'")), DIGEST
    )

    with pytest.raises(PolicyError, match="a way out"):
        replace(policy_of(SET), host_pins=index).pin_set_for(A)


def test_a_damaged_page_is_an_error_or_a_miss(path: Path) -> None:
    """No damage makes one host have the pins of another, or crashes."""
    content = path.read_bytes()
    outcomes: set[str] = set()
    for page in range(1, len(content) // 4096):
        start = page * 4096
        for damage in (bytes(4096), b"\xff" * 4096, os.urandom(4096)):
            path.write_bytes(content[:start] + damage + content[start + 4096 :])
            index = HostIndex(path, DIGEST)
            for number in range(0, 3000, 250):
                try:
                    found = index.get(host(number))
                except HoldfastError:
                    outcomes.add("error")
                else:
                    assert found in (None, MANY[host(number)])
                    outcomes.add("found" if found else "missed")

    assert {"error", "found"} <= outcomes


def test_what_cannot_be_written_is_told(tmp_path: Path, path: Path) -> None:
    """As an error of the system, whatever SQLite calls it."""

    def failing() -> Iterator[tuple[str, HostPins]]:
        yield "a", pins("a")
        raise UpdateError("it cannot be read on")

    with pytest.raises(OSError, match="cannot be written"):
        write_index(tmp_path / "missing" / "hosts.sqlite", [])
    with pytest.raises(OSError, match="cannot be written"):
        write_index(path, [])
    with pytest.raises(UpdateError, match="read on"):
        write_index(tmp_path / "other.sqlite", failing())


def test_it_is_closed_with_the_policy(path: Path) -> None:
    """Each update opens a file; the former ones do not stay open."""
    if sys.platform != "linux":
        pytest.skip("it counts descriptors in /proc")

    def opened() -> int:
        return sum(one.resolve() == path for one in Path("/proc/self/fd").iterdir())

    index = HostIndex(path, DIGEST)
    assert MANY[A] == index[A]
    assert 1 == opened()
    del index
    assert 0 == opened()
