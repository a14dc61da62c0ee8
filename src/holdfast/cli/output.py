"""What commands print: results on stdout in the chosen format, complaints and progress on stderr.

Text that came from outside (a name in a certificate, a path, a server's answer) is escaped: it must
not move the cursor, color the line or turn the reading direction. rich's markup is off everywhere
for the same reason.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from holdfast.findings.escape import escaped
from holdfast.findings.finding import Finding, Severity

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPED_WIDTH = 100  # columns, when there is no terminal whose width could be asked
_LINE_LIMIT = 4000  # characters of outside text in one message
_STYLES = {
    "ok": "green",
    "note": "blue",
    "warning": "yellow",
    "error": "bold red",
    "unknown": "magenta",
    "caught": "green",
    "missed": "bold red",
    "refused-honest": "bold red",
    "hung": "bold red",
    "crashed": "bold red",
}


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    HTML = "html"


def complain(message: str, hint: str | None = None) -> None:
    """Print an error and what to do about it on stderr."""
    sys.stderr.write(f"holdfast: error: {escaped(message, _LINE_LIMIT)}\n")
    if hint:
        sys.stderr.write(f"holdfast: hint: {escaped(hint, _LINE_LIMIT)}\n")


def warn(message: str, hint: str) -> None:
    """Print on stderr what is dangerous about what was asked for, which is done all the same."""
    sys.stderr.write(f"holdfast: warning: {escaped(message, _LINE_LIMIT)}\n")
    sys.stderr.write(f"holdfast: hint: {escaped(hint, _LINE_LIMIT)}\n")


def say(line: str) -> None:
    """Print on stderr what a person has to know meanwhile."""
    sys.stderr.write(f"{escaped(line, _LINE_LIMIT)}\n")
    sys.stderr.flush()


def open_outputs() -> None:
    """Let stdout and stderr take any text, even closed or in an encoding that lacks it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: object) -> None:
    """Print one JSON document in ASCII, so that no name in it can act on a terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_json_line(value: object) -> None:
    """Print one JSON document on one line, in ASCII too."""
    sys.stdout.write(json.dumps(value) + "\n")


def print_lines(*lines: str) -> None:
    """Print lines as they are, however wide the terminal: what may be copied must not break."""
    for line in lines:
        sys.stdout.write(escaped(line, _LINE_LIMIT) + "\n")


def print_text(text: str) -> None:
    """Print a paragraph, wrapped on a terminal and on one line elsewhere."""
    line = escaped(text, _LINE_LIMIT)
    if sys.stdout.isatty():
        width = min(shutil.get_terminal_size().columns, _PIPED_WIDTH)
        line = textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False)
    sys.stdout.write(line + "\n")


def grid(rows: Iterable[Sequence[str]], *, headers: Sequence[str] = (), whole: int = 1) -> Table:
    """Make a table of plain columns.

    Args:
        rows: Their cells; the first column's `ok`, `warning`, `error`... is colored.
        headers: The columns' titles, if any.
        whole: How many columns, from the left, are never broken.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=bool(headers), pad_edge=False, padding=(0, 2, 0, 0))
    listed = [list(row) for row in rows]
    for index in range(max((len(row) for row in [headers, *listed]), default=0)):
        title = headers[index] if index < len(headers) else ""
        table.add_column(title, no_wrap=index < whole, overflow="fold", header_style="bold")
    for row in listed:
        cells = [
            Text("\n".join(escaped(line, _LINE_LIMIT) for line in cell.split("\n"))) for cell in row
        ]
        cells[0].stylize(_STYLES.get(row[0], ""))
        table.add_row(*cells)
    return table


def print_grid(
    rows: Iterable[Sequence[str]], *, headers: Sequence[str] = (), whole: int = 1
) -> None:
    """Print a table of plain columns; see `grid`."""
    shown = console()
    with shown.capture() as capture:
        shown.print(grid(rows, headers=headers, whole=whole))
    # rich fills every line up to the width.
    sys.stdout.writelines(line.rstrip() + "\n" for line in capture.get().splitlines())


def print_findings(findings: Sequence[Finding]) -> None:
    """Print findings for people, the gravest first: what, where, and what to do."""
    gravity = list(Severity)
    ordered = sorted(findings, key=lambda finding: gravity.index(finding.severity))
    print_grid(
        [(finding.severity.value, finding.rule, _told(finding)) for finding in ordered], whole=2
    )


def _told(finding: Finding) -> str:
    """Return a finding as two lines; a line break within its texts must not make a third."""
    # What concerns a whole file has no other place.
    place = finding.place or finding.file or ""
    place, reason, action = (
        escaped(text, _LINE_LIMIT) for text in (place, finding.reason, finding.action)
    )
    return f"{place}: {reason}\n-> {action}"


def print_rendered(
    output_format: Format,
    findings: Sequence[Finding],
    titles: Mapping[str, str],
    passed: Sequence[str] = (),
) -> None:
    """Print findings for a program.

    Args:
        output_format: SARIF, JUnit or GitHub's workflow commands.
        findings: What was found.
        titles: What each rule is about, by its id.
        passed: The places that were checked and about which there is nothing to say.
    """
    from holdfast.findings import github, junit, sarif

    match output_format:
        case Format.SARIF:
            text = sarif.render(findings, titles)
        case Format.JUNIT:
            text = junit.render(findings, passed)
        case _:
            text = github.render(findings)
    sys.stdout.write(text if not text or text.endswith("\n") else text + "\n")


def console(file: TextIO | None = None) -> Console:
    """Return a console on stdout, or on another stream, that takes text literally."""
    from rich.console import Console

    stream = file or sys.stdout
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else _PIPED_WIDTH,
    )


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr while work is done, and nothing when stderr is no terminal.

    Yields:
        What to call when one piece is done.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        console=console(sys.stderr),
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)
