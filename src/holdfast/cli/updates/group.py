"""`holdfast updates`: make a repository of signed updates, and publish policies in it."""

from __future__ import annotations

import click

from holdfast.cli.updates.emergency import breakglass, deny
from holdfast.cli.updates.host_pins import hosts
from holdfast.cli.updates.init import init
from holdfast.cli.updates.new_epoch import new_epoch
from holdfast.cli.updates.new_key import new_key
from holdfast.cli.updates.preview import command as preview
from holdfast.cli.updates.publish import publish
from holdfast.cli.updates.rotate_key import rotate_key
from holdfast.cli.updates.sign import sign
from holdfast.cli.updates.stage import stage
from holdfast.cli.updates.upkeep import resign, seed, status
from holdfast.errors import HoldfastError

_PACKAGES = {"tuf", "securesystemslib", "urllib3"}  # of the extra


class _Updates(click.Group):
    """Names the extra that is missing."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            package = (missing.name or "").partition(".")[0]
            if package not in _PACKAGES:
                raise
            raise HoldfastError(
                f"signed updates need the package {package}",
                hint="pip install 'holdfast[updates]'",
            ) from missing


@click.group("updates", cls=_Updates)
def command() -> None:
    """Make a repository of signed updates, and publish policies in it.

    A repository is a folder of static files, for any web server. Clients follow it with
    `holdfast.UpdatedPolicy`.
    """


for _one in (init, publish, hosts, deny, breakglass, rotate_key, new_epoch):
    command.add_command(_one)
for _one in (resign, status, seed, preview):
    command.add_command(_one)
for _one in (stage, sign, new_key):  # ceremonies
    command.add_command(_one)
