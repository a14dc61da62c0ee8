"""`holdfast updates publish`: put a policy in force."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from holdfast.cli.options import format_option, policy_option
from holdfast.cli.output import Format
from holdfast.cli.updates.gates import Gates, gate_options, publish_gated
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened,
    passphrase_option,
    refresh_option,
)


@click.command("publish")
@folder_argument
@keys_option
@passphrase_option
@policy_option
@click.option("--rules", is_flag=True, help="More than pins may change: sign with `targets` too.")
@refresh_option
@gate_options
@format_option()
def publish(
    *,
    folder: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    policy: Path,
    rules: bool,
    refresh: int,
    gates: Gates,
    output_format: Format,
) -> int:
    """Publish a policy.

    Without --rules only its pins may differ from what the offline keys have signed. The first
    publication needs --rules.

    Before that its endpoints are looked at. Nothing is published that has an error in `holdfast
    lint`, under which a server would be refused as it is now, that leaves a set without a reserve,
    that removes pins in use (--emergency does), or that changes more than 3 pin sets and a tenth of
    them (--large does). --dry-run says all of that.

    Exit codes: 1 when something stands against it; 3 when that is only that an endpoint could not
    be looked at (--skip-live goes on without).
    """
    return publish_gated(
        folder,
        policy,
        gates,
        opening=lambda: opened(folder, keys, passphrase_file),
        publishing=lambda publisher, document: publisher.publish(
            document, refresh=timedelta(seconds=refresh), rules=rules
        ),
        output_format=output_format,
        may_change_rules=rules,
    )
