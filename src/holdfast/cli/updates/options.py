"""What the commands of `holdfast updates` share: the repository, the keys at hand, and requests."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.key import read_passphrase
from holdfast.cli.options import path_option
from holdfast.updates.roles import ONLINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from securesystemslib.signer import Key, Signer

    from holdfast.updates.publisher import Publisher

__all__ = [
    "STAGED_IN",
    "folder_argument",
    "keys_in",
    "keys_option",
    "keys_with",
    "opened",
    "opened_with",
    "passphrase_in",
    "passphrase_option",
    "pin_at_hand",
    "published",
    "read_only",
    "refresh_option",
    "request_file",
    "signed_by",
    "signed_words",
]

STAGED_IN = "holdfast.request"  # in click's `meta`, under `updates stage`
_PIN_FILE = "HOLDFAST_PIN_FILE"


def _required_unless_staged(
    context: click.Context, parameter: click.Parameter, value: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Ask for keys where something is to be published."""
    if not value and STAGED_IN not in context.meta:
        raise click.MissingParameter(ctx=context, param=parameter)
    return value


folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
passphrase_option = path_option(
    "--passphrase-file",
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
    callback=_required_unless_staged,
    help="A folder with keys, or with cards of keys in devices; several may be named.",
)


def opened(folder: Path, keys: tuple[Path, ...], passphrase_file: Path | None) -> Publisher:
    """Open a repository with the keys at hand, and keep others out until the command is over.

    Under `stage` nothing is written but a request.

    Raises:
        UpdateError: There is no repository, others are publishing in it, or a key cannot be opened.
        PolicyError: `repository.toml` or a card has a mistake.
        CacheError: Others could have written a key.
    """
    return opened_with(folder, keys, passphrase_in(passphrase_file))


def opened_with(folder: Path, keys: tuple[Path, ...], passphrase: bytes | None) -> Publisher:
    """Open a repository as `opened` does; a file that is a pipe gives its passphrase once."""
    from holdfast.updates.publisher import Publisher

    signers, now, request = keys_with(keys, passphrase), datetime.now(UTC), request_file()
    if request is not None:
        return Publisher.opened(folder, signers, now, request)
    locked = Publisher.locked(folder, signers, now)
    return click.get_current_context().with_resource(locked)


def keys_in(folders: Sequence[Path], passphrase_file: Path | None) -> Mapping[str, Signer]:
    """Return the keys of some folders; PINs of tokens are in the file that HOLDFAST_PIN_FILE names.

    Raises:
        UpdateError: A key cannot be opened.
        PolicyError: A card has a mistake.
        CacheError: Others could have written a key.
    """
    return keys_with(folders, passphrase_in(passphrase_file))


def keys_with(folders: Sequence[Path], passphrase: bytes | None) -> Mapping[str, Signer]:
    """Return the keys of some folders, as `keys_in` does."""
    from holdfast.updates.key_folder import load_signers

    return load_signers(folders, passphrase, pin_at_hand())


def read_only(folder: Path) -> Publisher:
    """Open a repository without keys.

    Raises:
        UpdateError: There is none, or it cannot be read.
    """
    from holdfast.updates.publisher import Publisher

    return Publisher.opened(folder, {}, datetime.now(UTC))


def passphrase_in(file: Path | None) -> bytes | None:
    """Return the passphrase that a file holds."""
    return read_passphrase(file)


def pin_at_hand() -> bytes | None:
    """Return the PIN of a token, if there is a file with one."""
    named = os.environ.get(_PIN_FILE)
    return read_passphrase(Path(named)) if named else None


def request_file() -> Path | None:
    """Return where to write a request; None where everything is published at once."""
    file: Path | None = click.get_current_context().meta.get(STAGED_IN)
    return file


def published() -> str:
    """Return the word for what was done."""
    return "Published" if request_file() is None else "Staged"


def signed_by(roles: Sequence[str]) -> str:
    """Say which roles have signed what was done, or have to."""
    if request_file() is None:
        return f"signed by {', '.join(roles)}"
    return f"to be signed by {', '.join(role for role in roles if role not in ONLINE)}"


def signed_words(signed: Sequence[tuple[str, Key]]) -> str:
    """Say who has signed what."""
    from holdfast.updates.key_card import owner_of

    return ", ".join(f"{role} as {owner_of(key)}" for role, key in signed)
