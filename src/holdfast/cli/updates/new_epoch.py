"""`holdfast updates new-epoch`: begin anew, above whatever a thief has published."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from holdfast.cli.options import format_option, policy_option
from holdfast.cli.output import Format
from holdfast.cli.updates.emergency import pin_from
from holdfast.cli.updates.gates import Gates, gate_options, publish_gated
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened,
    passphrase_option,
    refresh_option,
)


@click.command("new-epoch")
@folder_argument
@click.option("--lift", metavar="PIN", multiple=True, help="A key that is denied no longer.")
@keys_option
@passphrase_option
@policy_option
@refresh_option
@gate_options
@format_option()
def new_epoch(
    *,
    folder: Path,
    lift: tuple[str, ...],
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    policy: Path,
    refresh: int,
    gates: Gates,
    output_format: Format,
) -> int:
    """Publish a policy as the first of a new epoch, which the keys of `targets` begin.

    Clients take it whatever serial they have, which is how a serial is undone that a thief has used
    up. Denials can be lifted with it; that takes the key of `emergency` too. All others still hold.

    The policy is looked at as in `publish`, and more than pins may change.
    """
    lifted = [pin_from(text) for text in lift]
    return publish_gated(
        folder,
        policy,
        gates,
        opening=lambda: opened(folder, keys, passphrase_file),
        publishing=lambda publisher, document: publisher.new_epoch(
            document, refresh=timedelta(seconds=refresh), lift=lifted
        ),
        output_format=output_format,
        lifted=lifted,
    )
