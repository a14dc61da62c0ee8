"""`holdfast updates deny` and `breakglass`: what cannot wait for a policy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened,
    passphrase_option,
    published,
)
from holdfast.errors import HoldfastError, PinFormatError, PolicyError, Problem
from holdfast.pins.field_readers import moment
from holdfast.pins.pin import Pin


@click.command("deny")
@folder_argument
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@keys_option
@passphrase_option
@format_option()
def deny(
    *,
    folder: Path,
    pins: tuple[str, ...],
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Deny keys: clients refuse them from their next refresh on, in every mode.

    It cannot be undone but by the offline keys in a new epoch. Clients do not apply a list that
    leaves nothing of a set.
    """
    denied = [pin_from(text) for text in pins]
    after = opened(folder, keys, passphrase_file).deny(denied)
    if output_format is Format.JSON:
        print_json({"serial": after.serial, "denied": sorted(map(str, after.denied))})
        return
    print_lines(*sorted(map(str, after.denied)))
    print_lines(f"{published()} deny list {after.serial}.")


@click.command("breakglass")
@folder_argument
@click.argument("sets", metavar="[SET]...", nargs=-1)
@click.option("--until", metavar="TIME", help="When it ends, at most seven days ahead.")
@keys_option
@passphrase_option
@format_option()
def breakglass(
    *,
    folder: Path,
    sets: tuple[str, ...],
    until: str | None,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Make pin sets report-only until a time; without SET, end that for all.

    It ends by itself. Private, pins-only and strict sets cannot be opened, and denied keys are
    refused all the same. Each use is reported.
    """
    if bool(sets) is not bool(until):
        raise click.UsageError("name the sets and --until, or neither to end it for all")
    times = dict.fromkeys(sets, _time(until)) if until else {}
    after = opened(folder, keys, passphrase_file).break_glass(times)
    told = {name: time.isoformat() for name, time in sorted(after.until.items())}
    if output_format is Format.JSON:
        print_json({"serial": after.serial, "until": told})
        return
    print_lines(*(f"{name} is report-only until {time}" for name, time in told.items()))
    print_lines(f"{published()} break-glass list {after.serial}.")


def _time(text: str) -> datetime:
    problems: list[Problem] = []
    time = moment(text, "--until", problems)
    if time is None:
        raise PolicyError(problems)
    return time


def pin_from(text: str) -> Pin:
    """Read a pin that was given as an argument.

    Raises:
        HoldfastError: It is none.
    """
    try:
        return Pin.parse(text)
    except PinFormatError as error:
        raise HoldfastError(f"{text}: {error.message}", hint=error.hint) from error
