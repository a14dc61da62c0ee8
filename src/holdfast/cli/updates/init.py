"""`holdfast updates init`: make a repository, and the keys that nobody has yet."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import (
    folder_argument,
    passphrase_in,
    passphrase_option,
    request_file,
)
from holdfast.errors import HoldfastError
from holdfast.updates.roles import OFFLINE, PROFILES

if TYPE_CHECKING:
    from holdfast.updates.repository_settings import RepositorySettings
    from holdfast.updates.signed_roles import Holder


@click.command("init")
@folder_argument
@path_option("--keys", help="A new folder for the keys that are made. Never serve it.")
@passphrase_option
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="How many people sign (docs/updates.md); by default saas, or as repository.toml says.",
)
@format_option()
def init(
    *,
    folder: Path,
    keys: Path | None,
    passphrase_file: Path | None,
    profile: str | None,
    output_format: Format,
) -> None:
    """Make keys, and a repository that is signed with them.

    How it is signed is written into DIR/repository.toml, or read from there if it is there before.
    Where that names key cards, their owners sign: `holdfast updates stage REQUEST init DIR`.

    Move the keys of the offline roles (root, targets, emergency, breakglass) to places of their
    own afterwards: those of one threshold to different people.
    """
    from holdfast.updates.publisher import Publisher
    from holdfast.updates.repository_folder import check_is_free

    check_is_free(folder)
    settings = _settings(folder, profile)
    if settings.cards and request_file() is None:
        raise HoldfastError(
            f"{', '.join(settings.cards)} are signed by the owners of cards",
            hint=f"holdfast updates stage REQUEST init {folder}",
        )
    holders = _holders(folder, settings, keys, passphrase_in(passphrase_file))
    try:
        Publisher.created(folder, holders, settings.roles, datetime.now(UTC), request_file())
    except HoldfastError:
        if keys is not None:
            shutil.rmtree(keys, ignore_errors=True)  # they protect nothing yet
        raise
    root = folder / "metadata" / "1.root.json"
    if output_format is Format.JSON:
        print_json({"repository": str(folder), "keys": keys and str(keys), "root": str(root)})
        return
    offline = ", ".join(role for role in settings.roles if role in OFFLINE - settings.cards.keys())
    if request_file() is None:
        print_lines(f"Wrote {folder}, to be served, and {keys}, to be kept.")
    print_lines(f"Ship {root} with the application.")
    if offline:
        others = ", ".join(role for role in settings.roles if role not in OFFLINE)
        print_lines(f"Take the keys of {offline} off this machine; {others} sign here.")


def _settings(folder: Path, profile: str | None) -> RepositorySettings:
    from holdfast.updates.repository_file import SETTINGS, load_settings
    from holdfast.updates.repository_settings import RepositorySettings

    if not (folder / SETTINGS).exists():
        return RepositorySettings(roles=PROFILES[profile or "saas"])
    if profile is not None:
        raise HoldfastError(
            f"{folder / SETTINGS} says how the repository is signed",
            hint=f'write profile = "{profile}" there for what it leaves out, not --profile',
        )
    return load_settings(folder)


def _holders(
    folder: Path, settings: RepositorySettings, keys: Path | None, passphrase: bytes | None
) -> Mapping[str, list[Holder]]:
    """Return the keys of each role: those of the cards, and new ones for the rest."""
    from holdfast.updates.key_folder import load_card, make_keys

    holders: dict[str, list[Holder]] = {
        role: [load_card(folder / card).key for card in cards]
        for role, cards in settings.cards.items()
    }
    made = {role: rule for role, rule in settings.roles.items() if role not in holders}
    if made and keys is None:
        raise click.UsageError(
            f"name a new folder for the keys of {', '.join(made)}: --keys",
            click.get_current_context(),
        )
    if keys is not None and not made:
        raise click.UsageError(
            "all roles have key cards, so that no key is made: leave out --keys",
            click.get_current_context(),
        )
    if keys is not None:
        holders |= {role: [*several] for role, several in make_keys(keys, made, passphrase).items()}
    return holders
