from pathlib import Path

import pytest

from holdfast.cli import project_file
from holdfast.cli.project_file import read_limited, replace_file
from holdfast.errors import HoldfastError


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    """It is replaced as a whole, and nothing is left beside it."""
    file, link = tmp_path / "a.xml", tmp_path / "link.xml"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)

    replace_file(link, b"new")

    assert (b"new", 0o640) == (file.read_bytes(), file.stat().st_mode & 0o777)
    assert link.is_symlink()
    assert {file, link} == set(tmp_path.iterdir())


def test_a_new_file_can_be_read_by_others(tmp_path: Path) -> None:
    """It goes into a project."""
    replace_file(tmp_path / "new", b"x")

    assert 0o644 == (tmp_path / "new").stat().st_mode & 0o777


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that there is not; a folder in the file's place."""
    (tmp_path / "folder" / "more").mkdir(parents=True)
    for place in ("nowhere/a.xml", "folder"):
        with pytest.raises(HoldfastError, match="cannot be written"):
            replace_file(tmp_path / place, b"x")


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what is too long to be such a file."""
    with pytest.raises(HoldfastError, match="cannot be read"):
        read_limited(tmp_path / "nothing")
    monkeypatch.setattr(project_file, "_LIMIT", 2)
    (tmp_path / "long").write_bytes(b"long")
    with pytest.raises(HoldfastError, match="more than 2 bytes"):
        read_limited(tmp_path / "long")
