"""`holdfast export`: write a policy in the format of another platform, and say what gets lost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.difference import difference
from holdfast.cli.losses import tell_losses
from holdfast.cli.options import config_option, format_option, path_option, policy_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.project_file import read_limited, replace_file
from holdfast.cli.settings import given_settings, settings_file
from holdfast.errors import HoldfastError, PolicyError
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Loss, loss_as_json, which_matter
from holdfast.formats.registry import NAMES, format_named
from holdfast.pins.policy import Policy


class _Export(NamedTuple):
    """One file to be written.

    Attributes:
        format_name: In which format.
        file: Where to; None for standard output.
        pin_sets: The sets to write; all where none is named.
    """

    format_name: str
    file: Path | None
    pin_sets: tuple[str, ...]


class _Written(NamedTuple):
    """What a file is to hold, what it holds, and what the format cannot say."""

    export: _Export
    text: bytes
    present: bytes | None
    losses: tuple[Loss, ...]


@click.command("export")
@click.argument("format_name", metavar="FORMAT", type=click.Choice(NAMES), required=False)
@path_option("-o", "--output", help="Write into this file; what it holds beside pins stays.")
@click.option("--set", "sets", multiple=True, metavar="NAME", help="Only this pin set; repeatable.")
@click.option("--all", "is_all", is_flag=True, help="Write each [[export]] of the settings.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file differs.")
@click.option("--strict", is_flag=True, help="Fail where a connection would be decided otherwise.")
@policy_option
@config_option
@format_option()
def command(  # noqa: PLR0913  one for each option
    *,
    format_name: str | None,
    output: Path | None,
    sets: tuple[str, ...],
    is_all: bool,
    check: bool,
    strict: bool,
    policy: Path,
    config: Path | None,
    output_format: Format,
) -> int:
    """Write the policy in the format of another platform.

    What FORMAT cannot say is told on standard error, each loss with what follows from it.

    Exit codes: 0 written, or with --check no difference; 1 a difference, or with --strict a loss
    that matters: nothing was written; 2 bad input.
    """
    if is_all is (format_name is not None):
        raise click.UsageError("name a FORMAT, or --all for those of the settings")
    if is_all and (output is not None or sets):
        raise click.UsageError("--all takes files and sets from the settings")
    if check and not is_all and output is None:
        raise click.UsageError("--check needs the file: -o FILE, or --all")
    rules = load_policy(policy)
    exports = _configured(config) if is_all else [_Export(format_name or "", output, sets)]
    done = [_written(rules, export) for export in exports]
    losses = [loss for one in done for loss in one.losses]
    different = [one for one in done if one.text != one.present]
    matter = which_matter(losses) if strict else ()
    if not check and not matter:
        _write(different)
    if output_format is Format.JSON:
        print_json([_as_json(one) for one in done])
    else:
        _print(done, check=check, is_written=not matter)
        tell_losses(losses)
    return 1 if matter or (check and different) else 0


def _configured(config: Path | None) -> list[_Export]:
    file = settings_file(config)
    exports = given_settings(config).exports
    if file is None or not exports:
        raise HoldfastError(
            "the settings have no [[export]]",
            hint='write [[export]] with format = "android" and file = "..." into holdfast.toml',
        )
    return [_Export(one.format, file.parent / one.file, one.pin_sets) for one in exports]


def _written(policy: Policy, export: _Export) -> _Written:
    chosen = _only(policy, export.pin_sets)
    target = format_named(export.format_name)
    if target.write is None:
        raise HoldfastError(f"{target.name} can only be imported", hint="choose another format")
    if not target.semantics.hosts and len(chosen.pin_sets) != 1:
        names = ", ".join(pin_set.name for pin_set in policy.pin_sets)
        raise HoldfastError(
            f"a file of {target.semantics.title} is for the hosts of one pin set",
            hint=f"choose it with --set: {names}",
        )
    present = None if export.file is None else _present(export.file)
    translated = rules_of(chosen, target.semantics)
    try:
        text = target.write(translated.rules, present)
    except PolicyError as error:
        raise PolicyError(error.problems, source=str(export.file)) from None
    return _Written(export, text, present, translated.losses)


def _only(policy: Policy, names: Sequence[str]) -> Policy:
    """Return a policy with some of its sets.

    Raises:
        HoldfastError: There is no set of one of the names.
    """
    known = {pin_set.name for pin_set in policy.pin_sets}
    for name in names:
        if name not in known:
            raise HoldfastError(
                f"the policy has no pin set {name}", hint=f"it has {', '.join(sorted(known))}"
            )
    if not names:
        return policy
    return replace(policy, pin_sets=tuple(one for one in policy.pin_sets if one.name in names))


def _present(file: Path) -> bytes | None:
    return read_limited(file) if file.exists() else None


def _write(different: Sequence[_Written]) -> None:
    for one in different:
        if one.export.file is not None:
            replace_file(one.export.file, one.text)


def _print(done: Sequence[_Written], *, check: bool, is_written: bool) -> None:
    for one in done:
        if one.export.file is None:
            if is_written:
                sys.stdout.buffer.write(one.text)
                sys.stdout.buffer.flush()
        elif one.text == one.present:
            print_lines(f"{one.export.file}: as the policy says")
        elif check:
            print_lines(f"{one.export.file}: differs from the policy", *_difference(one))
        elif is_written:
            print_lines(f"{one.export.file}: written")


def _difference(one: _Written) -> list[str]:
    present = (one.present or b"").decode("utf-8", "backslashreplace").splitlines()
    text = one.text.decode("utf-8", "backslashreplace").splitlines()
    return list(difference(present, text, str(one.export.file), "the policy"))


def _as_json(one: _Written) -> dict[str, object]:
    return {
        "format": one.export.format_name,
        "file": None if one.export.file is None else str(one.export.file),
        "differs": one.text != one.present,
        "text": one.text.decode("utf-8", "backslashreplace"),
        "losses": [loss_as_json(loss) for loss in one.losses],
    }
