import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.cli.output import (
    complain,
    console,
    print_findings,
    print_grid,
    print_json,
    print_json_line,
    print_lines,
    print_text,
    progress,
)
from holdfast.findings.finding import Finding, Severity

HOSTILE = "evil\x1b[2J\u202e[red]"
SHOWN = "evil\\x1b[2J\\u202e[red]"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def _finding(severity: Severity) -> Finding:
    return Finding(rule="HF999", severity=severity, place="here", reason=HOSTILE, action="mend it")


def test_foreign_text_is_escaped_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither control characters nor rich's markup have an effect, whatever prints them."""
    complain(HOSTILE, HOSTILE)
    print_lines(HOSTILE)
    print_text(HOSTILE)
    print_grid([(HOSTILE,)])
    print_findings([_finding(Severity.NOTE)])

    captured = capsys.readouterr()
    assert f"holdfast: error: {SHOWN}\nholdfast: hint: {SHOWN}\n" == captured.err
    assert [SHOWN] * 3 == captured.out.splitlines()[:3]
    assert f"here: {SHOWN}" in captured.out


def test_line_break_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """A line break in a certificate's name does not forge a line of the table."""
    finding = replace(_finding(Severity.NOTE), reason="x\nok  all is well")

    print_findings([finding])

    assert [
        "note  HF999  here: x\\x0aok  all is well",
        "             -> mend it",
    ] == capsys.readouterr().out.splitlines()


def test_finding_about_a_whole_file_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a finding has no place, its file stands there."""
    print_findings([replace(_finding(Severity.NOTE), place="", file="pins.toml", reason="odd")])

    assert capsys.readouterr().out.startswith("note  HF999  pins.toml: odd\n")


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """No text in JSON can act on a terminal or stop at its encoding, and all of it is there."""
    text = HOSTILE + "\x9b\udcff\u00fc"
    for show in (print_json, print_json_line):
        show({"name": text})

        shown = capsys.readouterr().out
        assert shown.isascii()
        assert not {"\x1b", "\x9b"} & set(shown)
        assert {"name": text} == json.loads(shown)


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 3), (">&- 2>&-", 0)]
)
def test_output_that_goes_nowhere(redirection: str, code: int) -> None:
    """Closed streams change nothing, and a full one is told; there is never a traceback."""
    ran = subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$0" -m holdfast key pin --hex-spki {"ab" * 32} {redirection}',
            sys.executable,
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    told = "holdfast: error: No space left on device\n" if code else ""
    assert (code, told) == (ran.returncode, ran.stderr)


def test_narrow_encoding_gets_escapes(tmp_path: Path) -> None:
    """What the terminal's encoding lacks is written out instead of breaking the command."""
    ran = subprocess.run(
        [sys.executable, "-m", "holdfast", "lint", tmp_path / "b\u00fccher.toml"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )

    assert "b\\xfccher.toml: 1 error" in ran.stdout
    assert 2 == ran.returncode


def test_gravest_finding_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Findings stand in the order error, warning, note."""
    print_findings([_finding(severity) for severity in reversed(Severity)])

    lines = capsys.readouterr().out.splitlines()
    assert ["error", "warning", "note"] == [line.split()[0] for line in lines[::2]]


def test_piped_lines_are_neither_broken_nor_filled(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a paragraph is one line, and no line ends in spaces."""
    print_text("word " * 50 + "end")
    print_grid([("a", "b"), ("aaaa", "")])

    paragraph, *table = capsys.readouterr().out.splitlines()
    assert paragraph == "word " * 50 + "end"
    assert ["a     b", "aaaa"] == table


def test_terminal_wraps_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a paragraph fits its width."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")

    print_text("word " * 20)

    assert max(map(len, screen.getvalue().splitlines())) <= 40
    assert 3 == len(screen.getvalue().splitlines())


def test_progress_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bar is drawn on stderr when that is a terminal, and nothing at all is otherwise."""
    screen = Terminal()
    for stream in (sys.stderr, screen):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(2, "checking") as done:
            done()

    captured = capsys.readouterr()
    assert ("", "") == (captured.out, captured.err)
    assert "checking" in screen.getvalue()


def test_pipe_is_wide_enough_for_a_pin() -> None:
    """Where no terminal can be asked, lines have 100 columns."""
    assert 100 == console(io.StringIO()).width
