"""`holdfast updates init`: make a repository and its keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import folder_argument, passphrase_in, passphrase_option
from holdfast.errors import HoldfastError
from holdfast.updates.roles import OFFLINE, PROFILES


@click.command("init")
@folder_argument
@path_option("--keys", required=True, help="A new folder for the keys. Never serve it.")
@passphrase_option
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="saas",
    show_default=True,
    help="How many people sign: see docs/updates.md.",
)
@format_option()
def init(
    *, folder: Path, keys: Path, passphrase_file: Path, profile: str, output_format: Format
) -> None:
    """Make keys, and a repository that is signed with them.

    Move the keys of the offline roles (root, targets, emergency, breakglass) to places of their
    own afterwards: those of one threshold to different people.
    """
    from holdfast.updates.key_folder import make_keys
    from holdfast.updates.publisher import Publisher

    if folder.exists() and any(folder.iterdir()):
        raise HoldfastError(f"{folder} is not empty", hint="name a new folder")
    rules = PROFILES[profile]
    made = make_keys(keys, rules, passphrase_in(passphrase_file))
    Publisher.created(folder, made, rules, datetime.now(UTC))
    root = folder / "metadata" / "1.root.json"
    if output_format is Format.JSON:
        print_json({"repository": str(folder), "keys": str(keys), "root": str(root)})
        return
    offline = ", ".join(role for role in rules if role in OFFLINE)
    print_lines(
        f"Wrote {folder}, to be served, and {keys}, to be kept.",
        f"Ship {root} with the application.",
        f"Take the keys of {offline} off this machine; pins, snapshot and timestamp sign here.",
    )
