import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from holdfast.errors import CacheError, UpdateError
from holdfast.updates.own_files import (
    check_tree,
    create_file,
    files_below,
    make_folder,
    read_file,
    replace_file,
    replace_files,
    sha256_of,
    with_checksum,
    without_checksum,
)

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file in a folder in it."""
    folder = tmp_path / "own"
    make_folder(folder)
    make_folder(folder / "below")
    replace_file(folder / "below" / "file", b"content")
    return folder


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_is_made_is_for_this_user_alone(tmp_path: Path, mask: int) -> None:
    """Neither group nor others may read or write, whatever the process's mask."""
    before = os.umask(mask)
    try:
        make_folder(tmp_path / "folder")
        replace_file(tmp_path / "folder" / "file", b"")
    finally:
        os.umask(before)

    assert (0o700, 0o600) == (_mode(tmp_path / "folder"), _mode(tmp_path / "folder" / "file"))


def test_what_is_written_is_read(folder: Path) -> None:
    """A file comes back as it was last written, and nothing is left beside it."""
    path = folder / "below" / "file"
    replace_file(path, b"new")

    assert b"new" == read_file(path, 3)
    assert [path] == list(files_below(folder))
    check_tree(folder)


def test_a_draft_that_a_kill_has_left(folder: Path) -> None:
    """What was left of an earlier writing, a link even, is not written into."""
    secret = folder / "secret"
    replace_file(secret, b"secret")
    (folder / "below" / "file.new").symlink_to(secret)

    replace_file(folder / "below" / "file", b"new")

    assert (b"secret", b"new") == (secret.read_bytes(), read_file(folder / "below" / "file", 9))


def test_a_new_file_takes_the_place_of_another(folder: Path) -> None:
    """A file that is begun anew is no longer the one that others hold a link to."""
    path = folder / "below" / "file"
    os.link(path, folder / "link")

    os.close(create_file(path))

    assert (b"", b"content") == (path.read_bytes(), (folder / "link").read_bytes())


def test_a_file_that_is_too_long(folder: Path) -> None:
    """More bytes than the limit are not read."""
    with pytest.raises(CacheError, match="more than 6 bytes"):
        read_file(folder / "below" / "file", 6)


def test_a_link_is_not_followed(folder: Path) -> None:
    """A link is refused, whatever it leads to, and so is a folder with one in it."""
    link = folder / "below" / "link"
    link.symlink_to(folder / "below" / "file")

    with pytest.raises(CacheError, match="is a link"):
        read_file(link, 9)
    with pytest.raises(CacheError, match="is a link"):
        check_tree(folder)


def test_a_folder_that_is_a_link(folder: Path, tmp_path: Path) -> None:
    """A link to a folder is no folder."""
    (tmp_path / "link").symlink_to(folder)

    with pytest.raises(CacheError, match="is a link"):
        make_folder(tmp_path / "link")


@pytest.mark.timeout(5)
def test_a_pipe_does_not_block(folder: Path) -> None:
    """Something that is no regular file is refused at once."""
    os.mkfifo(folder / "pipe", 0o600)

    with pytest.raises(CacheError, match="no regular file"):
        read_file(folder / "pipe", 9)


@pytest.mark.parametrize("name", ["", "below", "below/file"])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_what_others_may_write(folder: Path, name: str, mode: int) -> None:
    """A file or folder that group or others may write is refused, with the mode."""
    (folder / name).chmod(mode)

    with pytest.raises(CacheError, match=f"mode {mode:o}"):
        check_tree(folder)


def test_what_others_may_read(folder: Path) -> None:
    """There is nothing secret in it."""
    (folder / "below" / "file").chmod(0o644)
    folder.chmod(0o755)

    check_tree(folder)


@is_root
@pytest.mark.parametrize("name", ["", "below", "below/file"])
def test_what_belongs_to_another(folder: Path, name: str) -> None:
    """A file or folder of another user is refused, with the user."""
    os.chown(folder / name, 12345, -1)

    with pytest.raises(CacheError, match="belongs to user 12345"):
        check_tree(folder)


@is_root
def test_a_file_of_another_is_not_read(folder: Path) -> None:
    """Reading looks at the owner itself."""
    os.chown(folder / "below" / "file", 12345, -1)

    with pytest.raises(CacheError, match="belongs to user 12345"):
        read_file(folder / "below" / "file", 9)


def test_each_damage_shows() -> None:
    """Cut off anywhere, or with any bit flipped, bytes with a checksum are refused."""
    whole = with_checksum(["value", 1])
    assert ["value", 1] == without_checksum(whole)

    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [
        bytes([*whole[:place], whole[place] ^ 1 << bit, *whole[place + 1 :]])
        for place in range(len(whole))
        for bit in range(8)
    ]
    for content in damaged:
        # Blanks of JSON, and the case of an escape, mean nothing.
        try:
            value = without_checksum(content)
        except ValueError:
            continue
        assert ["value", 1] == value


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"value": 1, "sha256": ""}', b"null"])
def test_what_has_no_checksum(content: bytes) -> None:
    """JSON of another shape is refused."""
    with pytest.raises(ValueError, match="checksum"):
        without_checksum(content)


def test_many_files_are_put_in_place(folder: Path) -> None:
    """When there are all of them; what fails before leaves nothing of them."""
    replace_files(folder, [("one", b"1"), ("two", b"2")], 0o640)
    assert [b"1", b"2"] == [(folder / name).read_bytes() for name in ("one", "two")]
    assert [0o640] * 2 == [_mode(folder / name) for name in ("one", "two")]

    def failing() -> Iterator[tuple[str, bytes]]:
        yield "one", b"another"
        yield "three", b"3"
        raise UpdateError("no more")

    with pytest.raises(UpdateError):
        replace_files(folder, failing())

    assert {"below", "one", "two"} == {path.name for path in folder.iterdir()}
    assert b"1" == (folder / "one").read_bytes()


def test_a_file_that_has_not_changed_is_hashed_once(folder: Path) -> None:
    """And one that has changed again, whoever it was."""
    path = folder / "below" / "file"
    right = hashlib.sha256(b"content").hexdigest()
    hashed: list[object] = []

    with pytest.MonkeyPatch.context() as patched:
        file_digest = hashlib.file_digest

        def counted(file: IO[bytes], name: str) -> object:
            hashed.append(name)
            return file_digest(file, name)  # type: ignore[arg-type]  # it asks for less than IO

        patched.setattr(hashlib, "file_digest", counted)
        assert [right, right, None] == [sha256_of(path, length) for length in (7, 7, 8)]
        assert 1 == len(hashed)
        path.write_bytes(b"changed")
        os.utime(path, ns=(0, 0))
        assert hashlib.sha256(b"changed").hexdigest() == sha256_of(path, 7)
        for number in range(40):
            os.utime(path, ns=(0, number + 1))
            sha256_of(path, 7)
        assert 42 == len(hashed)

    path.chmod(0o666)
    with pytest.raises(CacheError, match="written by others"):
        sha256_of(path, 7)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        sha256_of(path, 7)
    path.symlink_to(folder)
    with pytest.raises(CacheError, match="link"):
        sha256_of(path, 7)


def test_a_file_system_without_modes_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sticks with FAT carry keys and requests; what is made there is for its owner at first."""

    def refuse(_descriptor: int, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")  # as vfat answers

    monkeypatch.setattr(os, "fchmod", refuse)
    replace_file(tmp_path / "request.json", b"{}", 0o644)

    assert b"{}" == (tmp_path / "request.json").read_bytes()
    assert 0o600 == (tmp_path / "request.json").stat().st_mode & 0o777
