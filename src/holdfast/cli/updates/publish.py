"""`holdfast updates publish`: put a policy in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.lint import is_public_suffix
from holdfast.cli.options import format_option, policy_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import folder_argument, keys_option, opened, passphrase_option
from holdfast.errors import HoldfastError
from holdfast.findings.finding import Severity
from holdfast.formats.lint import lint


@click.command("publish")
@folder_argument
@keys_option
@passphrase_option
@policy_option
@click.option("--rules", is_flag=True, help="More than pins may change: sign with `targets` too.")
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
    refresh: int,
    output_format: Format,
) -> None:
    """Publish a policy.

    Without --rules only its pins may differ from what the offline keys have signed. The first
    publication needs --rules. A policy with an error in `holdfast lint` is not published.
    """
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
    done = publisher.publish(document, refresh=timedelta(seconds=refresh), rules=rules)
    if output_format is Format.JSON:
        print_json(
            {
                "serial": done.serial,
                "signed": list(done.signed),
                "changes": [
                    {"kind": one.kind.value, "place": one.place, "change": one.words}
                    for one in done.changes
                ],
            }
        )
        return
    print_lines(*(f"{one.kind.value}: {one.place}: {one.words}" for one in done.changes))
    print_lines(f"Published serial {done.serial}, signed by {', '.join(done.signed)}.")
