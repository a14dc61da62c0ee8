"""A file of somebody's project: read within limits, put in place whole, with its permissions."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from holdfast.errors import HoldfastError

_NEW_FILE_MODE = 0o644
_LIMIT = 64 * 1024 * 1024  # bytes


def read_limited(file: Path) -> bytes:
    """Return what a file holds.

    Raises:
        HoldfastError: It cannot be read, or is too long.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_LIMIT + 1)
    except OSError as error:
        raise HoldfastError(
            f"{file} cannot be read: {error.strerror}", hint="check the name"
        ) from error
    if len(data) > _LIMIT:
        raise HoldfastError(f"{file} has more than {_LIMIT} bytes", hint="is it the right one?")
    return data


def replace_file(file: Path, content: bytes) -> None:
    """Write a file; whoever reads it meanwhile sees the old one or the new one, whole.

    Raises:
        HoldfastError: It cannot be written. What was there stays.
    """
    target = Path(os.path.realpath(file))  # a link to the file stays one
    try:
        descriptor, name = tempfile.mkstemp(prefix=".holdfast-", dir=target.parent)
    except OSError as error:
        raise HoldfastError(
            f"{file} cannot be written: {error.strerror}", hint="does its folder exist?"
        ) from error
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            give_permissions(descriptor, target)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        draft.replace(target)
    except OSError as error:
        raise HoldfastError(
            f"{file} cannot be written: {error.strerror}", hint="is there room on the disk?"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def give_permissions(descriptor: int, target: Path) -> None:
    """Let those who can read a file now read the one that takes its place: owner, group, mode.

    Args:
        descriptor: Of the one that takes its place.
        target: The file; where there is none yet, the new one holds nothing secret.
    """
    if not target.exists():
        os.fchmod(descriptor, _NEW_FILE_MODE)
        return
    status = target.stat()
    with suppress(PermissionError):  # only root gives files away
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o7777)
