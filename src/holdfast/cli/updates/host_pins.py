"""`holdfast updates hosts`: publish the pins of single hosts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import folder_argument, keys_option, opened, passphrase_option
from holdfast.errors import HoldfastError


@click.command("hosts")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@keys_option
@passphrase_option
@click.option("--changes", is_flag=True, help="Hosts that the file does not name stay as they are.")
@click.option(
    "--index/--no-index",
    default=None,
    help="Whether there is to be one file of all hosts, for gateways; by default as it was.",
)
@format_option()
def hosts(
    *,
    folder: Path,
    file: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    changes: bool,
    index: bool | None,
    output_format: Format,
) -> None:
    """Publish pins of single hosts, in place of those of the sets that cover them.

    FILE has a line for each host: {"host": "a.example.com", "leaf": ["sha256/..."], "backup":
    ["sha256/..."]}. With --changes a line may also be {"host": "a.example.com", "remove": true}.
    Nothing but pins can be changed this way, and the online keys are enough.
    """
    from holdfast.updates.host_lines import read_host_lines
    from holdfast.updates.host_publisher import host_pins_problems

    publisher = opened(folder, keys, passphrase_file)
    bundle = publisher.bundle()
    if bundle is None:
        raise HoldfastError(f"{folder} has no policy yet", hint="publish one first")
    with file.open("rb") as lines:
        given = read_host_lines(
            lines,
            fits=partial(host_pins_problems, policy=bundle.policy),
            changes=changes,
            source=str(file),
        )
    done = publisher.publish_hosts(given, changes=changes, index=index)
    if output_format is Format.JSON:
        print_json(
            {
                "serial": done.serial,
                "hosts": done.hosts,
                "bins": done.bins,
                "index": done.has_index,
            }
        )
        return
    also = " and one file of all of them" if done.has_index else ""
    print_lines(f"Published serial {done.serial}: pins of {done.hosts} hosts{also}.")
    print_lines(f"Signed {done.bins} bins.")
