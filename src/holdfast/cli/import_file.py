"""`holdfast import`: make a policy of another platform's file, and say what it does not say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.spki import chain_certificate
from holdfast.cli.losses import tell_losses
from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.policy_text import policy_as_toml
from holdfast.cli.project_file import read_limited, replace_file
from holdfast.errors import HoldfastError, PolicyError
from holdfast.formats.loss import loss_as_json, which_matter
from holdfast.formats.registry import NAMES, format_named, format_of
from holdfast.formats.to_policy import policy_of
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.policy import Unlisted


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--from", "format_name", type=click.Choice(NAMES), help="Its format; else guessed.")
@path_option("-o", "--output", help="Write a new policy here instead of to standard output.")
@click.option(
    "--host", "hosts", multiple=True, metavar="PATTERN", help="For files that name no host."
)
@path_option("--chain", multiple=True, help="A chain (PEM, leaf first) that tells CA pins.")
@click.option(
    "--unlisted",
    type=click.Choice([one.value for one in Unlisted]),
    default=Unlisted.ALLOW.value,
    show_default=True,
    help="What happens to hosts that the file does not name.",
)
@click.option("--strict", is_flag=True, help="Fail where a connection would be decided otherwise.")
@format_option()
def command(
    *,
    file: Path,
    format_name: str | None,
    output: Path | None,
    hosts: tuple[str, ...],
    chain: tuple[Path, ...],
    unlisted: str,
    strict: bool,
    output_format: Format,
) -> int:
    """Make a policy of another platform's file.

    What the policy cannot say of it is told on standard error. Look the result through before it
    is used: `holdfast lint` and `holdfast check`.

    Exit codes: 0 done; 1 with --strict a loss that matters: nothing was written; 2 bad input.
    """
    if output is not None and output.exists():
        raise HoldfastError(f"{output} exists", hint="name a new file; pins are never overwritten")
    data = read_limited(file)
    source = format_named(format_name) if format_name else format_of(str(file), data)
    if not source.semantics.hosts and not hosts:
        raise HoldfastError(f"{file} names no host", hint="say for which with --host PATTERN")
    if source.semantics.hosts and hosts:
        raise HoldfastError(f"{file} names its hosts itself", hint="leave --host out")
    try:
        reading = source.read(data)
        imported = policy_of(
            reading.rules,
            source.semantics,
            unlisted=Unlisted(unlisted),
            ca_pins=_ca_pins(chain),
            hosts=tuple(map(HostPattern.parse, hosts)),
        )
    except PolicyError as error:
        raise PolicyError(error.problems, source=str(file)) from None
    losses = (*reading.losses, *imported.losses)
    text = policy_as_toml(imported.policy)
    matter = which_matter(losses) if strict else ()
    if output is not None and not matter:
        replace_file(output, text.encode())
    if output_format is Format.JSON:
        told = {"format": source.name, "policy": text, "losses": list(map(loss_as_json, losses))}
        print_json(told)
        return 1 if matter else 0
    if output is None and not matter:
        print_lines(*text.splitlines())
    elif output is not None and not matter:
        print_lines(f"{output}: {len(imported.policy.pin_sets)} pin sets of {file}")
    tell_losses(losses)
    return 1 if matter else 0


def _ca_pins(chains: Sequence[Path]) -> frozenset[Pin]:
    """Return the pins of all but the leaves of some chains."""
    pins = set()
    for path in chains:
        for der in load_chain(path)[1:]:
            certificate = chain_certificate(der)
            pins.add(Pin(PinAlgorithm.SPKI, certificate.spki_sha256))
            pins.add(Pin(PinAlgorithm.CERTIFICATE, certificate.cert_sha256))
    return frozenset(pins)
