"""`holdfast updates stage`: have something signed by people who are elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli.output import say
from holdfast.cli.updates.emergency import breakglass, deny
from holdfast.cli.updates.init import init
from holdfast.cli.updates.new_epoch import new_epoch
from holdfast.cli.updates.options import STAGED_IN
from holdfast.cli.updates.publish import publish
from holdfast.cli.updates.rotate_key import rotate_key
from holdfast.cli.updates.upkeep import resign
from holdfast.errors import HoldfastError


@click.group("stage", subcommand_metavar="COMMAND DIR ...")
@click.argument("request", metavar="REQUEST", type=click.Path(path_type=Path))
@click.pass_context
def stage(context: click.Context, *, request: Path) -> None:
    """Write what a command would publish as a request, for others to sign.

    Nothing in the repository changes. REQUEST is a new file, which goes to those who sign it with
    `holdfast updates sign`, one after the other or each a copy, and then to
    `holdfast updates publish DIR --staged REQUEST`. Nothing in it is secret.
    """
    if request.exists():
        raise HoldfastError(f"{request} exists", hint="requests are never overwritten")
    if not request.parent.is_dir():
        raise HoldfastError(f"{request.parent} is no folder", hint="make it, or name another")
    context.meta[STAGED_IN] = request


@stage.result_callback()
def _tell(result: object, *, request: Path) -> object:
    """Say who has to sign; nothing, where something stood against it."""
    if not request.exists():
        return result
    from holdfast.updates.request_signatures import signatures
    from holdfast.updates.staged_repository import read_request

    say(f"Wrote {request}. Sign it with `holdfast updates sign {request} --keys FOLDER`:")
    for state in signatures(read_request(request)):
        say(f"  {state}")
    return result


for _one in (init, publish, deny, breakglass, rotate_key, new_epoch, resign):
    stage.add_command(_one)
