"""`holdfast run`: run a Python program with pins enforced in all of it, its code unchanged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.certificates.load_settings import load_settings
from holdfast.cli.coverage_report import print_coverage
from holdfast.cli.draft_policy import write_draft
from holdfast.cli.options import config_option, format_option, path_option, policy_option
from holdfast.cli.output import Format, say
from holdfast.cli.program import NotEnforcedError, run_confirmed
from holdfast.cli.settings import settings_file
from holdfast.enforcement.coverage_folder import CoverageFolder
from holdfast.enforcement.local_exceptions import told_at_start
from holdfast.enforcement.python_command import PythonCommand, python_command
from holdfast.errors import HoldfastError
from holdfast.findings.policy_in_force import in_force
from holdfast.run_child import Order, Updates

OWN_FAILURE = 125


class _Run(click.Command):
    """A command whose own failures have one exit code, told apart from those of the program."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Read the arguments."""
        with _Failures():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run."""
        with _Failures():
            return super().invoke(ctx)


class _Failures:
    """Tells what goes wrong, as the other commands do, and ends with the code of `run`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, HoldfastError | click.ClickException | OSError):
            from holdfast.cli.main import tell  # it imports this module

            tell(error)
            raise click.exceptions.Exit(OWN_FAILURE)


@click.command(
    "run",
    cls=_Run,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.argument("command", metavar="-- CMD [ARG]...", nargs=-1, type=click.UNPROCESSED)
@policy_option
@config_option
@click.option("--updates", metavar="URL", help="Follow signed updates from here, not --policy.")
@path_option("--root", help="With --updates: the root metadata of the repository.")
@path_option("--seed", help="With --updates: the policy to begin with.")
@path_option(
    "--observe", help="Enforce nothing; write the hosts seen to this new file, as a draft policy."
)
@click.option("--coverage", is_flag=True, help="Say at the end what was pinned and what was not.")
@format_option()
def command(  # noqa: PLR0913 (one for each option)
    *,
    command: tuple[str, ...],
    policy: Path,
    config: Path | None,
    updates: str | None,
    root: Path | None,
    seed: Path | None,
    observe: Path | None,
    coverage: bool,
    output_format: Format,
) -> int:
    """Run a Python program, and the Pythons that it starts, with the policy enforced.

    CMD is `python app.py`, `python -m app`, or a script whose first line names a Python, such as
    what pip installs. Nothing of it runs before enforcement is on.

    All that goes through Python's ssl is covered. Programs of another kind that it starts, and
    Pythons started with -I, -E or -S, are not: --coverage lists them, with the TLS libraries seen
    that do not use ssl. Where the policy refuses unlisted hosts, those cannot be imported.

    The exit code is the program's own, or 128 and the number of the signal that ended it; 125 if
    it could not be run with the policy enforced. The report of --coverage is on stderr.
    """
    if not command:
        raise click.UsageError("there is no command: holdfast run -- python app.py")
    python = _python_of(command)
    settings = None if observe else settings_file(config)
    followed = _followed(updates, root, seed)
    lines = ["nothing is enforced: what is connected to is observed"]
    if observe is None:
        now = datetime.now(UTC)
        source = followed.policy(background=False) if followed else load_policy(policy)
        lines = [in_force(source.current(), now)]
        if settings is not None:
            lines += told_at_start(load_settings(settings).exceptions, source.current(), now)
    elif observe.exists():
        raise HoldfastError(f"{observe} exists", hint="name a file that is still to be made")
    is_watched = coverage or observe is not None
    with TemporaryDirectory(prefix="holdfast-run-") if is_watched else nullcontext() as folder:
        order = Order(
            policy=None if observe or followed else os.path.abspath(policy),  # noqa: PTH100  links stay
            updates=None if observe else followed,
            folder=folder,
            settings=None if settings is None else os.path.abspath(settings),  # noqa: PTH100
        )
        try:
            code = run_confirmed(
                command, python, order.put_into(os.environ), lambda: _say_all(lines)
            )
        except NotEnforcedError as error:
            raise HoldfastError(error.message, hint=error.hint) from error
        seen = None if folder is None else CoverageFolder(Path(folder)).read()
    if seen is not None and coverage:
        print_coverage(seen, output_format)
    if seen is not None and observe is not None:
        write_draft(observe, seen)
    return code


def _followed(url: str | None, root: Path | None, seed: Path | None) -> Updates | None:
    """Return the updates to follow, if any."""
    if url is None:
        if root is not None or seed is not None:
            raise click.UsageError("--root and --seed belong to --updates")
        return None
    if root is None:
        raise click.UsageError("--updates needs --root: the root metadata of the repository")
    return Updates(
        url=url,
        root=os.path.abspath(root),  # noqa: PTH100
        seed=None if seed is None else os.path.abspath(seed),  # noqa: PTH100
    )


def _say_all(lines: Sequence[str]) -> None:
    for line in lines:
        say(f"holdfast: {line}")


def _python_of(command: Sequence[str]) -> PythonCommand:
    """Return the Python that a command starts.

    Raises:
        HoldfastError: It starts none, or one that ignores the environment.
    """
    python = python_command(command)
    if python is None:
        raise HoldfastError(
            f"{command[0]} is no Python program, so that pins cannot be enforced in it",
            hint="name the Python: holdfast run -- python app.py, or python -m app",
        )
    if python.ignores_environment is not None:
        raise HoldfastError(
            f"Python ignores the environment with {python.ignores_environment}, "
            "and enforcement comes by it",
            hint=f"leave {python.ignores_environment} out",
        )
    return python
