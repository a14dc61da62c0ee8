"""`holdfast lab`: attack a client, in whatever language, and see which attacks it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import (
    Format,
    print_grid,
    print_json,
    print_lines,
    print_rendered,
    progress,
)
from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, Transport, attacks
from holdfast.lab.runner import DEFAULT_TIMEOUT, Runner
from holdfast.lab.scorecard import HEADERS, Scorecard

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
_LONGEST_RUN = 3600  # seconds


@click.group("lab")
def command() -> None:
    """Attack a client and see which attacks it stops."""


def _as_attacks(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[Attack, ...]:
    return attacks() if value is None else tuple(_attack(name) for name in _words(value))


def _as_transports(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[Transport, ...]:
    names = _words(value)
    if unknown := sorted(set(names) - set(_TRANSPORTS)):
        known = ", ".join(_TRANSPORTS)
        raise click.BadParameter(f"{unknown[0]!r} is none of {known}", context, parameter)
    return tuple(transport for transport in _TRANSPORTS if transport in names)


@command.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("client", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--only", "chosen", metavar="ID,...", callback=_as_attacks, help="Only these attacks."
)
@click.option(
    "--transport",
    "transports",
    metavar="NAME,...",
    default="https",
    show_default=True,
    callback=_as_transports,
    help=f"What the client speaks: {', '.join(_TRANSPORTS)}.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=_LONGEST_RUN),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long one run of the client may take.",
)
@format_option(Format.SARIF, Format.JUNIT)
def run(
    *,
    client: tuple[str, ...],
    chosen: tuple[Attack, ...],
    transports: tuple[Transport, ...],
    timeout: float,
    output_format: Format,
) -> int:
    """Run COMMAND against each attack on loopback, and judge it by what the servers saw.

    COMMAND makes one request to {url} and ends. It also gets {host}, {port}, {anchors} (what to
    trust: the attacker's CA is among them), {pin}, {backup}, {cert_pin}, {policy} (a pins.toml)
    and {client_certificate}, or the same as variables: HOLDFAST_LAB_URL and so on. Before each
    attack an honest server has to be accepted.

    Exit codes: 0 each attack that applies was caught; 1 one was not, or an honest server was
    refused; 3 no attack applies.
    """
    with (
        Runner(client, timeout=timeout, transports=transports) as runner,
        progress(len(chosen), "attacks") as advance,
    ):
        results = []
        for attack in chosen:
            results.append(runner.run(attack))
            advance()
    scorecard = Scorecard(client, tuple(results))
    match output_format:
        case Format.TABLE:
            print_grid(scorecard.rows(), headers=HEADERS, whole=3)
            print_lines("", scorecard.summary)
        case Format.JSON:
            print_json(scorecard.as_json())
        case _:
            print_rendered(
                output_format, scorecard.findings(), scorecard.titles(), scorecard.caught()
            )
    return scorecard.exit_code


@command.command("list")
@format_option()
def list_(*, output_format: Format) -> None:
    """List the attacks."""
    if output_format is Format.JSON:
        print_json([_as_json(attack) for attack in attacks()])
        return
    rows = [(one.id, one.attack_class, one.transport, one.title) for one in attacks()]
    print_grid(rows, headers=("attack", "class", "transport", "title"), whole=3)


@command.command("show")
@click.argument("attack_id", metavar="ID")
@format_option()
def show(*, attack_id: str, output_format: Format) -> None:
    """Describe one attack: what happens, and what a pinning client must do."""
    attack = _attack(attack_id)
    if output_format is Format.JSON:
        print_json(_as_json(attack))
        return
    fooled = "falls for it" if attack.fools_plain else "stops it too"
    print_lines(attack.title, "", *attack.description.split("\n"), "")
    print_grid(
        [
            ("class", attack.attack_class),
            ("transport", attack.transport),
            ("without pins", f"a client that verifies {fooled}"),
            ("stands for", _listed(attack.stands_for)),
            ("MASVS", _listed(attack.masvs)),
        ]
    )


def _as_json(attack: Attack) -> dict[str, object]:
    return {
        "attack": attack.id,
        "title": attack.title,
        "description": attack.description,
        "class": attack.attack_class.value,
        "transport": attack.transport,
        "fools_plain": attack.fools_plain,
        "stands_for": list(attack.stands_for),
        "masvs": list(attack.masvs),
    }


def _attack(attack_id: str) -> Attack:
    for attack in attacks():
        if attack.id == attack_id:
            return attack
    raise HoldfastError(f"no attack is called {attack_id!r}", hint="holdfast lab list names all")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts) or "-"
