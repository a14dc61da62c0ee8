import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import CacheError
from holdfast.updates.installation import (
    INSTALLATION_BYTES,
    keep_installation,
    keep_told,
    new_installation,
    read_installation,
    read_told,
)
from holdfast.updates.own_files import with_checksum

TIME = datetime(2027, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = (bytes([number]) * INSTALLATION_BYTES for number in (1, 2))
DAMAGES = [
    b"",
    b"{}",
    b"\xff",
    with_checksum(None),
    with_checksum("zz"),
    with_checksum("0102"),
    with_checksum([TIME.replace(tzinfo=None).isoformat(), "it"]),
    with_checksum([TIME.isoformat(), 7]),
    with_checksum([TIME.isoformat()]),
]


def test_each_value_is_another_one() -> None:
    """Of as many bytes as nobody guesses."""
    assert 100 == len({new_installation() for _ in range(100)})
    assert INSTALLATION_BYTES == len(new_installation())


def test_the_first_value_stays(tmp_path: Path) -> None:
    """Whoever comes later takes it; nobody else can read it."""
    assert None is read_installation(tmp_path)
    assert [ONE, ONE] == [keep_installation(tmp_path, one) for one in (ONE, OTHER)]

    assert ONE == read_installation(tmp_path)
    assert 0o600 == (tmp_path / "installation").stat().st_mode & 0o777


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_value_is_told_and_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts for nothing, as do other bytes under the right checksum."""
    (tmp_path / "installation").write_bytes(content)
    with pytest.raises(CacheError, match="is damaged"):
        read_installation(tmp_path)

    assert OTHER == keep_installation(tmp_path, OTHER)
    assert "installation is damaged" in caplog.text
    assert OTHER == read_installation(tmp_path)


def test_a_value_that_others_could_have_written_is_replaced(tmp_path: Path) -> None:
    """Also behind a link, whose target is left alone."""
    (tmp_path / "elsewhere").write_bytes(with_checksum(ONE.hex()))
    (tmp_path / "installation").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match="is a link"):
        read_installation(tmp_path)

    assert OTHER == keep_installation(tmp_path, OTHER)
    assert with_checksum(ONE.hex()) == (tmp_path / "elsewhere").read_bytes()


def test_what_was_told_is_remembered_for_each_application(tmp_path: Path) -> None:
    """Two that share a cache do not take each other's word."""
    keep_told(tmp_path, "shop", TIME, "1 7 False")
    keep_told(tmp_path, "shop.told.new", TIME, "1 8 True")

    assert (TIME, "1 7 False") == read_told(tmp_path, "shop")
    assert (TIME, "1 8 True") == read_told(tmp_path, "shop.told.new")
    assert None is read_told(tmp_path, "bank")


@pytest.mark.parametrize("content", DAMAGES)
def test_what_was_told_and_is_damaged_is_not_known(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it is told once more, which does no harm."""
    keep_told(tmp_path, "shop", TIME, "it")
    (tmp_path / "adoption-shop.told").write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert None is read_told(tmp_path, "shop")
    assert "adoption-shop.told is damaged" in caplog.text
