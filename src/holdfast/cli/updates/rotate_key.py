"""`holdfast updates rotate-key`: give a role new keys."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened_with,
    passphrase_in,
    passphrase_option,
    request_file,
    signed_by,
)
from holdfast.errors import HoldfastError
from holdfast.updates.roles import ROLES

if TYPE_CHECKING:
    from holdfast.updates.repository_settings import RepositorySettings
    from holdfast.updates.signed_roles import Holder


@click.command("rotate-key")
@folder_argument
@click.argument("role", type=click.Choice(list(ROLES)))
@path_option("--new-keys", help="Make the new keys, in a new folder.")
@path_option("--new-key", "cards", multiple=True, help="The card of a new key; name each.")
@keys_option
@passphrase_option
@format_option()
def rotate_key(
    *,
    folder: Path,
    role: str,
    new_keys: Path | None,
    cards: tuple[Path, ...],
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Give a role new keys; what it has signed is signed again with them.

    How many there are, and how many have to sign, stands in DIR/repository.toml; where that lists
    cards for the role, these are its keys. For root, targets, snapshot and timestamp it takes the
    keys of root, for the others those of targets. No client is locked out: one that was away comes
    over the old roots.
    """
    from holdfast.updates.key_folder import make_keys

    passphrase = passphrase_in(passphrase_file)
    publisher = opened_with(folder, keys, passphrase)
    settings = publisher.settings
    holders = _from_cards(folder, role, settings, cards, is_made=new_keys is not None)
    if new_keys is not None:
        rules = {role: settings.roles[role]}
        holders = list(make_keys(new_keys, rules, passphrase)[role])
    try:
        signed = publisher.rotate_keys(role, holders)
    except HoldfastError:
        if new_keys is not None:
            shutil.rmtree(new_keys)  # they protect nothing yet
        raise
    if output_format is Format.JSON:
        where = None if new_keys is None else str(new_keys)
        print_json({"role": role, "keys": where, "signed": list(signed)})
        return
    where = "" if new_keys is None else f", in {new_keys}"
    print_lines(f"{role} has new keys{where}, {signed_by(signed)}.")
    when = "" if request_file() is None else " once the request is published"
    print_lines(f"Destroy the old ones{when}.")


def _from_cards(
    folder: Path, role: str, settings: RepositorySettings, cards: Sequence[Path], *, is_made: bool
) -> list[Holder]:
    """Return the keys of the cards that are named, here or in `repository.toml`."""
    from holdfast.updates.key_folder import load_card

    listed = [folder / card for card in settings.cards.get(role, ())]
    if is_made:
        if cards or listed:
            raise HoldfastError(
                f"the keys of {role} are those of cards",
                hint="leave out --new-keys, or write a number of keys into repository.toml",
            )
        return []
    if not cards and not listed:
        raise click.UsageError(
            "name the cards of the new keys with --new-key, or a folder to make them in with "
            "--new-keys",
            click.get_current_context(),
        )
    named = [load_card(card).key for card in cards]
    wanted = [load_card(card).key for card in listed]
    if named and wanted and {one.keyid for one in named} != {one.keyid for one in wanted}:
        raise HoldfastError(
            f"repository.toml lists other cards for {role}",
            hint="list the new ones there, and leave out --new-key",
        )
    return [*(named or wanted)]
