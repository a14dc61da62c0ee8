from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import CacheError
from holdfast.updates.freshness import Floor
from holdfast.updates.memory import NO_FLOOR, Memory, deny, raise_floor, read_memory
from holdfast.updates.own_files import with_checksum

TIME = datetime(2027, 3, 1, 12, 30, 15, 250, tzinfo=UTC)
HOUR = timedelta(hours=1)
COPIES = ["floor.a", "floor.b", "denied.a", "denied.b"]
FLOOR = Floor(2, 7, TIME)
KEYS = frozenset({"sha256/one", "sha256/two"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which something is remembered."""
    raise_floor(tmp_path, FLOOR)
    deny(tmp_path, KEYS)
    return tmp_path


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


DAMAGES = [_flip, _cut, Path.unlink]


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    """An empty folder is no damage."""
    assert Memory() == read_memory(tmp_path)


def test_what_is_remembered(folder: Path) -> None:
    """It comes back, from four files."""
    assert Memory(FLOOR, KEYS, ()) == read_memory(folder)
    assert sorted(COPIES) == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Floor(2, 8, TIME), Floor(2, 8, TIME)),
        (Floor(2, 6, TIME + HOUR), Floor(2, 7, TIME + HOUR)),
        (Floor(3, 1, TIME - HOUR), Floor(3, 1, TIME)),
        (Floor(1, 2**63, TIME), FLOOR),
        (NO_FLOOR, FLOOR),
    ],
)
def test_a_floor_only_rises(folder: Path, other: Floor, expected: Floor) -> None:
    """The epoch counts before the serial, and the time for itself."""
    raise_floor(folder, other)

    assert expected == read_memory(folder).floor


def test_denied_keys_only_get_more(folder: Path) -> None:
    """What was denied once stays so."""
    deny(folder, ["sha256/three"])
    deny(folder, [])

    assert KEYS | {"sha256/three"} == read_memory(folder).denied


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", COPIES)
def test_one_damaged_copy(folder: Path, name: str, damage: object) -> None:
    """The other copy counts, the damage is named, and the next write mends it."""
    assert callable(damage)
    damage(folder / name)

    assert Memory(FLOOR, KEYS, (name,)) == read_memory(folder)
    raise_floor(folder, NO_FLOOR)
    deny(folder, [])
    assert Memory(FLOOR, KEYS, ()) == read_memory(folder)


@pytest.mark.parametrize("damage", [_flip, _cut])
def test_both_copies_damaged(folder: Path, damage: object) -> None:
    """What is lost is named."""
    assert callable(damage)
    for name in COPIES:
        damage(folder / name)

    assert Memory(damaged=tuple(COPIES)) == read_memory(folder)


def test_the_higher_copy_counts(folder: Path) -> None:
    """A kill between the two writes loses nothing, whichever copy is the newer one."""
    for newer in "ab":
        old = {name: (folder / name).read_bytes() for name in COPIES if name[-1] != newer}
        raise_floor(folder, Floor(3, ord(newer), TIME))
        deny(folder, [newer])
        for name, content in old.items():
            (folder / name).write_bytes(content)

        assert Floor(3, ord(newer), TIME) == read_memory(folder).floor
        assert newer in read_memory(folder).denied


def test_nothing_is_written_without_need(folder: Path) -> None:
    """What is remembered already is not written again."""
    before = [(folder / name).stat().st_ino for name in COPIES]
    raise_floor(folder, FLOOR)
    deny(folder, KEYS)

    assert before == [(folder / name).stat().st_ino for name in COPIES]


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_others_may_write(folder: Path, name: str) -> None:
    """It is refused, not passed over: it could hold an older floor."""
    (folder / name).chmod(0o666)

    with pytest.raises(CacheError, match="written by others"):
        read_memory(folder)


def test_a_time_without_an_offset(folder: Path) -> None:
    """A floor whose time could mean anything is not remembered."""
    with pytest.raises(ValueError, match="offset"):
        raise_floor(folder, Floor(9, 9, TIME.replace(tzinfo=None)))

    assert FLOOR == read_memory(folder).floor


@pytest.mark.parametrize("value", [1, [1, 2], [1, 2, "yesterday"], [1, 2, 3]])
def test_a_whole_copy_that_means_nothing(folder: Path, value: object) -> None:
    """A copy of another shape is as good as damaged."""
    (folder / "floor.a").write_bytes(with_checksum(value))

    assert Memory(FLOOR, KEYS, ("floor.a",)) == read_memory(folder)


def test_more_than_can_be_read_again_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may deny keys cannot make the memory unreadable by denying ever more of them."""
    monkeypatch.setattr("holdfast.updates.memory._LIMIT", 1000)

    with pytest.raises(CacheError, match="too many keys are denied"):
        deny(folder, [f"sha256/{number}" for number in range(100)])

    assert Memory(FLOOR, KEYS) == read_memory(folder)
