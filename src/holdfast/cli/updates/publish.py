"""`holdfast updates publish`: put a policy in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.options import format_option, policy_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.public_suffixes import is_public_suffix
from holdfast.cli.updates.options import folder_argument, keys_option, opened, passphrase_option
from holdfast.errors import HoldfastError
from holdfast.findings.finding import Severity
from holdfast.formats.lint import lint
from holdfast.updates.roll_out import EVERYBODY


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
@click.option(
    "--refresh",
    type=click.IntRange(60, 604800),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long clients wait before they ask again.",
)
@format_option()
def publish(
    *,
    folder: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    policy: Path,
    rules: bool,
    basis_points: int | None,
    refresh: int,
    output_format: Format,
) -> None:
    """Publish a policy.

    Without --rules only its pins may differ from what the offline keys have signed. The first
    publication needs --rules. A policy with an error in `holdfast lint` is not published.

    With --percent the stable policy stays, and this share of clients follow the new one. Publish
    the same policy with a higher share to go on, with 0 to take it back, and without --percent to
    make it the stable one.
    """
    if rules and basis_points is not None:
        raise click.UsageError("rules change for everybody at once: --rules without --percent")
    now = datetime.now(UTC)
    document = load_policy(policy)
    errors = [
        one
        for one in lint(document, now=now, public_suffix=is_public_suffix)
        if one.severity is Severity.ERROR
    ]
    if errors:
        raise HoldfastError(
            f"{policy}: {errors[0].place}: {errors[0].reason}",
            hint=f"holdfast lint {policy} says all of it",
        )
    publisher = opened(folder, keys, passphrase_file)
    wait = timedelta(seconds=refresh)
    if basis_points is None:
        done = publisher.publish(document, refresh=wait, rules=rules)
    else:
        done = publisher.roll_out(document, basis_points=basis_points, refresh=wait)
    if output_format is Format.JSON:
        print_json(
            {
                "serial": done.serial,
                "candidate_percent": done.candidate.percent if done.candidate else None,
                "dropped_percent": done.dropped.percent if done.dropped else None,
                "signed": list(done.signed),
                "changes": [
                    {"kind": one.kind.value, "place": one.place, "change": one.words}
                    for one in done.changes
                ],
            }
        )
        return
    print_lines(*(f"{one.kind.value}: {one.place}: {one.words}" for one in done.changes))
    if done.dropped is not None:
        print_lines(f"The candidate for {done.dropped.percent} % of clients is dropped.")
    share = f" for {done.candidate.percent} % of clients" if done.candidate is not None else ""
    print_lines(f"Published serial {done.serial}{share}, signed by {', '.join(done.signed)}.")
