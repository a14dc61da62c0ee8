"""What the commands of `holdfast lab` share: naming attacks, listening, printing the result."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from holdfast.cli.output import Format, print_grid, print_json, print_lines, print_rendered, warn
from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.evidence import Evidence
from holdfast.lab.page import html_page, page_template
from holdfast.lab.scorecard import HEADERS, Scorecard
from holdfast.lab.stage import LOOPBACK

_Command = TypeVar("_Command", bound=Callable[..., Any])
_HIGHEST_PORT = 65535

port_option = click.option(
    "--port",
    type=click.IntRange(0, _HIGHEST_PORT),
    default=0,
    help="Where to listen; a free port by default.",
)


def bind_option(command: _Command) -> _Command:
    """Declare `--bind`, which warns when others than this machine can connect."""
    return click.option(
        "--bind",
        metavar="ADDRESS",
        default=LOOPBACK,
        show_default=True,
        callback=_as_address,
        help="The address to listen on.",
    )(command)


def _as_address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        text = f"{value!r} is no IP address"
        raise click.BadParameter(text, context, parameter) from error
    if not address.is_loopback:
        warn(
            f"{address}: whoever can reach this machine can connect",
            "let this run in a network of your own, and end it when the device is done",
        )
    return str(address)


def attack_named(attack_id: str) -> Attack:
    """Return an attack.

    Raises:
        HoldfastError: There is none of this name.
    """
    for attack in attacks():
        if attack.id == attack_id:
            return attack
    raise HoldfastError(f"no attack is called {attack_id!r}", hint="holdfast lab list names all")


def prepare_output(output_format: Format) -> None:
    """See to it before a long run that its result can be printed.

    Raises:
        HoldfastError: Something for this format is not installed.
    """
    if output_format is Format.HTML:
        page_template()


def print_scorecard(scorecard: Scorecard, evidence: Evidence, output_format: Format) -> None:
    """Print what came out, in the format that was asked for."""
    match output_format:
        case Format.TABLE:
            print_grid(scorecard.rows(), headers=HEADERS, whole=3)
            print_lines("", scorecard.summary)
        case Format.JSON:
            print_json(scorecard.as_json())
        case Format.HTML:
            sys.stdout.write(html_page(scorecard, evidence))
        case _:
            print_rendered(
                output_format, scorecard.findings(), scorecard.titles(), scorecard.caught()
            )


def words(text: str) -> list[str]:
    """Return the words between commas."""
    return [word.strip() for word in text.split(",")]
