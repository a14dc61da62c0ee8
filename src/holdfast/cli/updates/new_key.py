"""`holdfast updates new-key`: a key of one person, and the card that others are given."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import passphrase_in, passphrase_option, pin_at_hand


@click.command("new-key")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--owner", required=True, metavar="NAME", help="Whose key it is: it is served.")
@click.option(
    "--uri",
    metavar="ADDRESS",
    help="Make no key: it is in a token or a service, at hsm:..., awskms:..., gcpkms:..., "
    "azurekms:...",
)
@passphrase_option
@format_option()
def new_key(
    *,
    folder: Path,
    owner: str,
    uri: str | None,
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Make a key of your own, and its card, or the card of a key in a device.

    Give the card, OWNER.card.json, to whoever runs the repository. Compare the key id with them
    over another way. The key stays in FOLDER, encrypted, which `--keys` names later.
    """
    from holdfast.updates.key_card import check_owner
    from holdfast.updates.key_folder import CARD_ENDING, add_card, add_key

    passphrase = passphrase_in(passphrase_file)
    if uri is None:
        card = add_key(folder, owner, passphrase)
    else:
        from holdfast.updates.key_devices import card_of_device

        check_owner(owner)
        card = card_of_device(uri, owner, pin_at_hand() or passphrase)
        add_card(folder, card)
    file = folder / f"{owner}{CARD_ENDING}"
    if output_format is Format.JSON:
        print_json({"owner": owner, "card": str(file), "keyid": card.key.keyid, "uri": card.uri})
        return
    print_lines(f"Wrote {file}: the key of {owner} has the id {card.key.keyid}.")
