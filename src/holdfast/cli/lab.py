"""`holdfast lab`: attack a client, in whatever language, and see which attacks it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli import lab_run, lab_serve
from holdfast.cli.lab_options import attack_named
from holdfast.cli.options import format_option
from holdfast.cli.output import Format, print_grid, print_json, print_lines
from holdfast.lab.attack import Attack, attacks

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group("lab")
def command() -> None:
    """Attack a client and see which attacks it stops."""


command.add_command(lab_run.command)


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
    attack = attack_named(attack_id)
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
            ("attacker holds", _listed(attack.holds)),
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
        "holds": list(attack.holds),
    }


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts) or "-"


command.add_command(lab_serve.command)
