"""Files and folders that nobody but this user can have written, and that a crash leaves whole.

1. Only regular files and folders of this user, which neither group nor others may write, are used.
   No link is followed (CVE-2021-41131 is about names that lead elsewhere).
2. A file is replaced as a whole and is on the disk when that is done.
3. What a kill can tear, or a disk can lose, carries a checksum.

Ancestors of the cache are not looked at: whoever may rename it can put nothing of this user there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.errors import CacheError

DRAFT = ".new"  # the ending of a file that is being written

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not block
_MOST_HASHED = 16
_HASHED: dict[tuple[int, int, int, int], str] = {}
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, and check it.

    Raises:
        CacheError: Others could have written what is there.
        OSError: It cannot be made.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=_FOLDER_MODE)
        sync_folder(folder.parent)
    check(folder, is_folder=True)


def check(path: Path, *, is_folder: bool) -> None:
    """Refuse what is not ours alone.

    Raises:
        CacheError: It is a link, of another kind, another user's, or writable by others.
        OSError: It cannot be looked at.
    """
    _check_status(path, path.lstat(), is_folder=is_folder)


def check_tree(folder: Path) -> None:
    """Refuse a folder in which anything is not ours alone; otherwise as `check`."""
    check(folder, is_folder=True)
    for path in folder.iterdir():
        if stat.S_ISDIR(path.lstat().st_mode):
            check_tree(path)
        else:
            check(path, is_folder=False)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder and the folders in it, except for those."""
    for path in sorted(folder.iterdir()):
        if stat.S_ISDIR(path.lstat().st_mode):
            yield from files_below(path)
        else:
            yield path


def read_file(path: Path, limit: int) -> bytes:
    """Return what a file holds.

    Args:
        path: The file.
        limit: The most bytes that it may have.

    Raises:
        CacheError: It is not ours alone, or longer.
        OSError: It cannot be read.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        check(path, is_folder=False)  # says more of a link
        raise
    with os.fdopen(descriptor, "rb") as file:
        _check_status(path, os.fstat(descriptor), is_folder=False)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise CacheError(f"{path} has more than {limit} bytes", hint=_REMOVE)
    return content


def create_file(path: Path) -> int:
    """Return the descriptor of a new, empty file, in place of one that is there."""
    path.unlink(missing_ok=True)
    return os.open(path, _CREATE, _FILE_MODE)


def replace_file(path: Path, content: bytes, mode: int = _FILE_MODE) -> None:
    """Put a file in place as a whole. One process at a time may do so in a folder.

    Args:
        path: The file.
        content: What it is to hold.
        mode: Who may do what with it.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    replace_files(path.parent, [(path.name, content)], mode)


def replace_files(
    folder: Path, contents: Iterable[tuple[str, bytes]], mode: int = _FILE_MODE
) -> None:
    """Put files in place, each as a whole, when all of them are on the disk.

    Args:
        folder: Where they belong.
        contents: The name of each, and what it is to hold; asked for one by one.
        mode: Who may do what with them.

    Raises:
        OSError: One cannot be written, and nothing has changed; or not put in place, where some
            may have been.
    """
    drafts: dict[Path, Path] = {}
    try:
        for name, content in contents:
            path = folder / f"{name}{DRAFT}"
            drafts[path] = folder / name
            with os.fdopen(create_file(path), "wb") as file:
                # FAT, as on sticks, has no modes; it was made for us only.
                with suppress(PermissionError):
                    os.fchmod(file.fileno(), mode)
                file.write(content)
        # All at once: a disk writes most of a thousand files with the first of them.
        for path in drafts:
            sync_file(path)
        for path in list(drafts):
            path.replace(drafts.pop(path))
    finally:
        for path in drafts:
            path.unlink(missing_ok=True)
    sync_folder(folder)


def sha256_of(path: Path, length: int) -> str | None:
    """Return the SHA-256 of a file of this length, in hexadecimal; None if it has another one.

    A file that has not changed since this process hashed it last is not read again.

    Raises:
        CacheError: It is not ours alone.
        OSError: It cannot be read.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        check(path, is_folder=False)  # says more of a link
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_status(path, status, is_folder=False)
        if status.st_size != length:
            return None
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns, length)
        known = _HASHED.get(identity)
        if known is None:
            known = hashlib.file_digest(file, "sha256").hexdigest()
            if len(_HASHED) >= _MOST_HASHED:
                _HASHED.clear()
            _HASHED[identity] = known
    return known


def sync_file(path: Path) -> None:
    """Wait until what a file holds is on the disk."""
    _sync(path, _READ)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _sync(folder, _READ | os.O_DIRECTORY)


def with_checksum(value: Any) -> bytes:  # noqa: ANN401  any JSON value
    """Return a JSON value as bytes that say whether they are whole."""
    text = json.dumps(value, sort_keys=True)
    return json.dumps({"value": text, "sha256": _digest(text)}).encode()


def without_checksum(content: bytes) -> Any:  # noqa: ANN401  any JSON value
    """Return the JSON value of `with_checksum`.

    Raises:
        ValueError: The bytes are not whole.
    """
    document = json.loads(content)
    if not isinstance(document, dict) or document.keys() != {"value", "sha256"}:
        raise ValueError("it has no checksum")
    text = document["value"]
    if not isinstance(text, str) or document["sha256"] != _digest(text):
        raise ValueError("its checksum is wrong")
    return json.loads(text)


_REMOVE = "move it away; the next refresh makes a new one"


def _check_status(path: Path, status: os.stat_result, *, is_folder: bool) -> None:
    is_right = stat.S_ISDIR if is_folder else stat.S_ISREG
    kind = "folder" if is_folder else "regular file"
    if not is_right(status.st_mode):
        raise CacheError(f"{path} is a link, or no {kind}", hint=_REMOVE)
    if status.st_uid != os.geteuid():
        raise CacheError(
            f"{path} belongs to user {status.st_uid}, not to user {os.geteuid()}",
            hint="give each user a cache of its own",
        )
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise CacheError(
            f"{path} can be written by others (mode {stat.S_IMODE(status.st_mode):o})",
            hint="others may have put in old pins: move it away, and let others only read",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
