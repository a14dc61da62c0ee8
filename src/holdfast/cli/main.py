"""The `holdfast` command: which commands there are, and how whatever goes wrong is told.

Commands are imported when they are needed, so that `holdfast --help` and a pin made offline start
quickly. A command returns its exit code; it raises for bad input, and the text for that is made
here and nowhere else:

    0   all well
    1   a finding: a mismatch, a violation, a lint error, a host that must not be pinned
    2   usage, or input that cannot be read
    3   could not be determined: network, timeout, nothing to visit
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from holdfast.cli.output import complain, open_outputs
from holdfast.errors import HoldfastError, PolicyError

_BAD_INPUT = 2
_UNDETERMINED = 3
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_READER_GONE = 141  # 128 + SIGPIPE
_GROUP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

# Name -> (module, one line of help): the overview must not import what it lists.
_COMMANDS = {
    "pin": ("holdfast.cli.pin", "Pin hosts: look at their keys and write a policy."),
    "check": ("holdfast.cli.check", "Hold the endpoints of a policy against reality."),
    "lint": ("holdfast.cli.lint", "Look for mistakes in policies, offline."),
    "evaluate": ("holdfast.cli.evaluate", "Say what a client would decide about a chain, offline."),
    "key": ("holdfast.cli.key", "Make keys, and take the pins of keys."),
    "run": ("holdfast.cli.run", "Run a Python program with the policy enforced in all of it."),
    "export": ("holdfast.cli.export", "Write the policy in the format of another platform."),
    "import": ("holdfast.cli.import_file", "Make a policy of another platform's file."),
    "verify-artifact": (
        "holdfast.cli.verify_artifact",
        "Hold the pins of a shipped package against the policy.",
    ),
    "updates": ("holdfast.cli.updates.group", "Publish signed updates of policies."),
    "doctor": ("holdfast.cli.doctor", "Check whether pins can be enforced here, with a self-test."),
    "lab": ("holdfast.cli.lab", "Attack a client, in any language: which attacks does it stop?"),
    "demo": ("holdfast.cli.demo", "See an interception refused, on loopback."),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is run, or asked for its own help."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands in the order of daily use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; one that is not known is click's error to tell."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings=_GROUP_SETTINGS)
@click.version_option(package_name="holdfast", prog_name="holdfast")
def holdfast() -> None:
    """Make clients talk only to the servers whose keys they expect.

    The policy is --policy, else $HOLDFAST_POLICY, else ./pins.toml. Exit codes: 0 all well, 1 a
    finding, 2 usage or bad input, 3 could not be determined.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands behind `holdfast`; the process's own by default.

    Returns:
        The exit code.
    """
    open_outputs()
    try:
        code = holdfast.main(arguments, prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
    except (HoldfastError, click.ClickException, OSError) as error:
        return tell(error)
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except SystemExit:  # click's own answer to a broken pipe
        return _READER_GONE
    return int(code or 0)


def tell(error: HoldfastError | click.ClickException | OSError) -> int:
    """Say on stderr what is wrong with the input, and return the exit code."""
    match error:
        case PolicyError():
            for problem in error.problems:
                # A file that cannot be read is its own place.
                where = ": ".join(filter(None, dict.fromkeys((error.source, problem.place))))
                complain(f"{where}: {problem.message}" if where else problem.message, problem.fix)
        case HoldfastError():
            complain(error.message, error.hint)
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
        case click.ClickException():
            complain(_in_our_style(error), _usage_hint(error))
        case OSError():
            return _tell_os_error(error)
    return _BAD_INPUT


def _tell_os_error(error: OSError) -> int:
    if error.filename is not None:
        complain(f"{error.filename}: {error.strerror}")
        return _BAD_INPUT
    if error.errno is None:
        raise error  # no answer of the operating system, but a bug
    try:
        sys.stdout.flush()
    except OSError:
        # Python would complain about the rest when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return _READER_GONE  # it has seen enough
    # No file is to blame: a full disk behind stdout, no folder to be in.
    complain(str(error.strerror))
    return _UNDETERMINED


def _in_our_style(error: click.ClickException) -> str:
    """Return click's message as ours are: no capital, no final period."""
    text = error.format_message()
    return text[:1].lower() + text[1:].removesuffix(".")


def _usage_hint(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path} --help shows how it is used" if context else None
