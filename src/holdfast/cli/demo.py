"""`holdfast demo`: see an interception refused, and the changes of keys that pinning survives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import Format, complain, console, print_json
from holdfast.findings.escape import escaped
from holdfast.findings.layout import WIDTH, labeled
from holdfast.scenarios.demo import INTRODUCTION, Step, tell
from holdfast.scenarios.stage import Stage

if TYPE_CHECKING:
    from rich.console import Console

_WHO = 17  # columns for who says something, with the spaces around it
_WHAT_NEXT = 44  # columns for what to type, with the spaces around it
_NARROWEST = 60  # columns; a narrower terminal breaks the lines itself
_LIMIT = 1000  # characters of one paragraph
_NOT_AS_TOLD = "THIS DID NOT HAPPEN AS TOLD"
_NEXT = (
    ("holdfast pin HOST --new-backup next.key", "pins a server of yours"),
    ("holdfast check", "holds the pins against the server"),
    ("holdfast doctor", "can pins be enforced here?"),
    ("README.md, docs/clients/index.md", "three lines for your client"),
)


@click.command("demo")
@format_option()
def command(*, output_format: Format) -> int:
    """See an interception with a trusted certificate refused, and changes of keys survived.

    Everything takes place now, on loopback, with keys that are thrown away afterwards. The exit
    code is 1 if anything happened otherwise than told, and 3 if loopback cannot be used.
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-demo-") as directory,
            Stage(Path(directory)) as stage,
        ):
            steps = tell(stage, stage.policy())
            if output_format is Format.JSON:
                told = list(steps)
                print_json(_as_json(told))
            else:
                told = list(_printed(steps))
    except TimeoutError as error:
        complain(
            f"a server on loopback was not reached: {error}",
            "make sure that this machine can connect to 127.0.0.1, and try again",
        )
        return 3
    return 0 if _all_as_expected(told) else 1


def _all_as_expected(steps: list[Step]) -> bool:
    return all(step.as_expected for step in steps)


def _as_json(steps: list[Step]) -> dict[str, object]:
    return {
        "as_expected": _all_as_expected(steps),
        "steps": [
            {
                "title": step.title,
                "narration": step.narration,
                "evidence": [evidence._asdict() for evidence in step.evidence],
                "as_expected": step.as_expected,
                "explanation": step.explanation,
            }
            for step in steps
        ],
    }


def _printed(steps: Iterable[Step]) -> Iterator[Step]:
    """Print each step as soon as it has happened; in the end say how it went and what is next."""
    page = _Page(console())
    page.write(INTRODUCTION)
    failed = []
    for number, step in enumerate(steps, 1):
        page.write()
        page.write(step.title, label=f"{number} ", style="bold")
        page.write(step.narration, label="  ")
        for who, what in step.evidence:
            page.write(what, label=f"  {who}".ljust(_WHO), label_style="cyan")
        if not step.as_expected:
            failed.append(str(number))
            page.write(_NOT_AS_TOLD, label="  ", style="bold red")
        if step.explanation:
            page.copy("", *step.explanation.split("\n"))
        yield step
    page.write()
    if failed:
        page.write(f"Not as told: step {', '.join(failed)}. Do not rely on pins here.", style="red")
        page.write("Find out why: holdfast doctor")
        return
    page.write("All of it happened as told. Next:", style="green")
    for what, why in _NEXT:
        page.write(why, label=f"  {what}".ljust(_WHAT_NEXT), label_style="bold")


class _Page:
    """Paragraphs as wide as the terminal allows, 100 columns at most."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = max(_NARROWEST, min(console.width, WIDTH))

    def write(
        self, text: str = "", *, label: str = "", style: str = "", label_style: str = ""
    ) -> None:
        """Print a paragraph; further lines begin below its first word, behind the label."""
        from rich.text import Text

        lines = labeled(label, escaped(text, _LIMIT), indent=len(label), width=self._width)
        for number, line in enumerate(lines):
            shown = Text(line, style)
            if number == 0:
                shown.stylize(label_style, 0, len(label))
            self._console.print(shown, soft_wrap=True)

    def copy(self, *lines: str) -> None:
        """Print lines as they are."""
        for line in lines:
            self._console.print(line, soft_wrap=True)
