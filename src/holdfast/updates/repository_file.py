"""`repository.toml` in the folder of a repository: found, read, and written once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdfast.certificates.load_policy import read_text
from holdfast.pins.decode_document import decode_document
from holdfast.updates.own_files import replace_file
from holdfast.updates.repository_settings import (
    RepositorySettings,
    settings_from_document,
    settings_text,
)
from holdfast.updates.roles import RoleRule

__all__ = ["BEFOREHAND", "SETTINGS", "load_settings", "write_settings"]

SETTINGS = "repository.toml"
# What may lie in the folder before a repository is made in it.
BEFOREHAND = frozenset({SETTINGS, "cards"})
_SERVED = 0o644


def load_settings(folder: Path) -> RepositorySettings:
    """Read how a repository is to be signed.

    Raises:
        PolicyError: The file cannot be read or has a mistake; every mistake is in its problems.
    """
    file = folder / SETTINGS
    text = read_text(file, 'write it: format = 1 and profile = "saas" are enough')
    return settings_from_document(decode_document(text, "toml", source=str(file)), source=str(file))


def write_settings(folder: Path, rules: Mapping[str, RoleRule]) -> None:
    """Write the file, unless it is there.

    Raises:
        OSError: It cannot be written.
    """
    file = folder / SETTINGS
    if not file.exists():
        replace_file(file, settings_text(rules).encode(), _SERVED)
