"""`holdfast updates rotate-key`: give a role new keys."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened_with,
    passphrase_in,
    passphrase_option,
)
from holdfast.errors import HoldfastError
from holdfast.updates.roles import ROLES, RoleRule


@click.command("rotate-key")
@folder_argument
@click.argument("role", type=click.Choice(list(ROLES)))
@path_option("--new-keys", required=True, help="A new folder for the new keys of the role.")
@keys_option
@passphrase_option
@format_option()
def rotate_key(
    *,
    folder: Path,
    role: str,
    new_keys: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    output_format: Format,
) -> None:
    """Give a role new keys; what it has signed is signed again with them.

    For root, targets, snapshot and timestamp it takes the keys of root, for the others those of
    targets. No client is locked out: one that was away comes over the old roots.
    """
    from holdfast.updates.key_folder import make_keys

    passphrase = passphrase_in(passphrase_file)
    publisher = opened_with(folder, keys, passphrase)
    number = next(one.keys for one in publisher.status() if one.role == role)
    made = make_keys(new_keys, {role: RoleRule(number, 1, 1)}, passphrase)
    try:
        signed = publisher.rotate_keys(role, made[role])
    except HoldfastError:
        shutil.rmtree(new_keys)  # they protect nothing yet
        raise
    if output_format is Format.JSON:
        print_json({"role": role, "keys": str(new_keys), "signed": list(signed)})
        return
    print_lines(
        f"{role} has new keys, in {new_keys}. Signed {', '.join(signed)}.",
        "Destroy the old ones.",
    )
