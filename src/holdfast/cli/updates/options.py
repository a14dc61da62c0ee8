"""What the commands of `holdfast updates` share: the repository, the keys at hand, and times."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.key import read_passphrase
from holdfast.cli.options import path_option

if TYPE_CHECKING:
    from holdfast.updates.publisher import Publisher

__all__ = [
    "folder_argument",
    "keys_option",
    "opened",
    "opened_with",
    "passphrase_in",
    "passphrase_option",
    "read_only",
    "refresh_option",
]

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
passphrase_option = path_option(
    "--passphrase-file",
    required=True,
    envvar="HOLDFAST_PASSPHRASE_FILE",
    help="The file whose first line encrypts the keys; else $HOLDFAST_PASSPHRASE_FILE.",
)
refresh_option = click.option(
    "--refresh",
    type=click.IntRange(60, 604800),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long clients wait before they ask again.",
)
keys_option = path_option(
    "--keys",
    multiple=True,
    required=True,
    help="A folder with keys; several may be named.",
)


def opened(folder: Path, keys: tuple[Path, ...], passphrase_file: Path) -> Publisher:
    """Open a repository with the keys at hand, and keep others out until the command is over.

    Raises:
        UpdateError: There is no repository, others are publishing in it, or a key cannot be opened.
        CacheError: Others could have written a key.
    """
    return opened_with(folder, keys, passphrase_in(passphrase_file))


def opened_with(folder: Path, keys: tuple[Path, ...], passphrase: bytes) -> Publisher:
    """Open a repository as `opened` does; a file that is a pipe gives its passphrase once."""
    from holdfast.updates.key_folder import load_signers
    from holdfast.updates.publisher import Publisher

    locked = Publisher.locked(folder, load_signers(keys, passphrase), datetime.now(UTC))
    return click.get_current_context().with_resource(locked)


def read_only(folder: Path) -> Publisher:
    """Open a repository without keys.

    Raises:
        UpdateError: There is none, or it cannot be read.
    """
    from holdfast.updates.publisher import Publisher

    return Publisher.opened(folder, {}, datetime.now(UTC))


def passphrase_in(file: Path) -> bytes:
    """Return the passphrase that a file holds."""
    return read_passphrase(file) or b""
