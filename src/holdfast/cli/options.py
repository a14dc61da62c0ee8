"""The options that commands share, so that they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from holdfast.cli.output import Format

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEFAULT_POLICY = "pins.toml"
DEFAULT_SETTINGS = "holdfast.toml"
STARTTLS_SCHEMES = ("smtp", "imap", "pop3", "ftp")


def path_option(*names: str, help: str, **settings: Any) -> Callable[[_Command], _Command]:  # noqa: A002, ANN401
    """Declare an option that names a file."""
    return click.option(
        *names, type=click.Path(path_type=Path), metavar="FILE", help=help, **settings
    )


policy_option = path_option(
    "--policy",
    envvar="HOLDFAST_POLICY",
    default=DEFAULT_POLICY,
    help="The policy; without this option $HOLDFAST_POLICY, else ./pins.toml.",
)

config_option = path_option(
    "--config",
    envvar="HOLDFAST_CONFIG",
    help="The settings; without this option $HOLDFAST_CONFIG, else ./holdfast.toml if it is there.",
)


def anchors_option(help: str) -> Callable[[_Command], _Command]:  # noqa: A002 (click's word)
    """Declare `--anchors`: what it stands for depends on the command, its name does not."""
    return path_option("--anchors", help=help)


def format_option(*formats: Format) -> Callable[[_Command], _Command]:
    """Declare `--format`, with `--json` as the short form that every command has."""
    offered = (Format.TABLE, Format.JSON, *formats)

    def declare(command: _Command) -> _Command:
        command = click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_prefer_json,
            help="Short for --format json.",
        )(command)
        return click.option(
            "--format",
            "output_format",
            type=click.Choice([offer.value for offer in offered]),
            default=Format.TABLE.value,
            show_default=True,
            is_eager=True,  # so that --json can still change it
            callback=_as_format,
            help="How to print the result.",
        )(command)

    return declare


def _as_format(_context: click.Context, _parameter: click.Parameter, value: str) -> Format:
    return Format(value)


def _prefer_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        context.params["output_format"] = Format.JSON


def timeout_option(default: float) -> Callable[[_Command], _Command]:
    """Declare `--timeout`."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True, max=3600),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="How long one connection may take, with everything that belongs to it.",
    )


starttls_option = click.option(
    "--starttls",
    type=click.Choice(STARTTLS_SCHEMES),
    help="What to speak to hosts that are given without a scheme.",
)
