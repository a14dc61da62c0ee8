"""`holdfast updates publish`: put a policy in force."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import format_option, path_option, policy_option
from holdfast.cli.output import Format
from holdfast.cli.updates.gates import Gates, gate_options, publish_gated
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened,
    passphrase_option,
    refresh_option,
)
from holdfast.cli.updates.publish_staged import publish_staged
from holdfast.updates.roll_out import EVERYBODY

if TYPE_CHECKING:
    from holdfast.pins.policy import Policy
    from holdfast.updates.publisher import Publication, Publisher


def _basis_points(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """Read a share with two decimals at most."""
    if value is None:
        return None
    try:
        basis_points = Decimal(value) * 100
        if 0 <= basis_points <= EVERYBODY and basis_points == int(basis_points):
            return int(basis_points)
    except InvalidOperation:
        pass
    raise click.BadParameter(f"{value!r} is no number from 0 to 100 with two decimals at most")


@click.command("publish")
@folder_argument
@keys_option
@passphrase_option
@policy_option
@click.option("--rules", is_flag=True, help="More than pins may change: sign with `targets` too.")
@click.option(
    "--percent",
    "basis_points",
    callback=_basis_points,
    metavar="SHARE",
    help="Publish it as a candidate for this share of clients, beside the stable policy.",
)
@path_option("--staged", multiple=True, help="Publish a request that was signed; or its copies.")
@refresh_option
@gate_options
@format_option()
def publish(  # noqa: PLR0913  one for each option
    *,
    folder: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    policy: Path,
    rules: bool,
    basis_points: int | None,
    refresh: int,
    staged: tuple[Path, ...],
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

    With --percent the stable policy stays, and this share of clients follow the new one. Publish
    the same policy with a higher share to go on, with 0 to take it back, and without --percent to
    make it the stable one.

    With --staged it is a request that is published, once enough people have signed it; copies that
    were signed apart are put together. Only the keys of snapshot and timestamp are needed then.

    Exit codes: 1 when something stands against it; 3 when that is only that an endpoint could not
    be looked at (--skip-live goes on without).
    """
    if staged:
        publish_staged(folder, keys, passphrase_file, staged, output_format)
        return 0
    if rules and basis_points is not None:
        raise click.UsageError("rules change for everybody at once: --rules without --percent")
    wait = timedelta(seconds=refresh)

    def publishing(publisher: Publisher, document: Policy) -> Publication:
        if basis_points is None:
            return publisher.publish(document, refresh=wait, rules=rules)
        return publisher.roll_out(document, basis_points=basis_points, refresh=wait)

    return publish_gated(
        folder,
        policy,
        gates,
        opening=lambda: opened(folder, keys, passphrase_file),
        publishing=publishing,
        output_format=output_format,
        # A candidate is refused for it as it is published, with words of its own.
        may_change_rules=rules or (basis_points is not None and not gates.is_dry),
    )
