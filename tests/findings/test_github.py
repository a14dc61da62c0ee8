"""Workflow commands that no finding can break out of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.findings.finding import Finding, Severity
from holdfast.findings.github import render


def _finding(
    text: str = "why", *, severity: Severity = Severity.ERROR, file: str | None = "pins.toml"
) -> Finding:
    return Finding(
        rule="HF101", severity=severity, place="pin_set.a:b,c", reason=text, action="do", file=file
    )


@pytest.mark.parametrize(
    ("severity", "command"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "notice")],
)
def test_command(severity: Severity, command: str) -> None:
    """A finding is one command with file and title; colons and commas in them are escaped."""
    assert f"::{command} file=pins.toml,title=HF101 pin_set.a%3Ab%2Cc::why%0Ado" == render(
        [_finding(severity=severity)]
    )


def test_finding_without_a_file() -> None:
    """A live endpoint has a title only."""
    assert "::error title=HF101 pin_set.a%3Ab%2Cc::why%0Ado" == render([_finding(file=None)])


def test_percent_signs_and_line_breaks() -> None:
    """A percent sign is escaped once, and a line break in a text is shown, not obeyed."""
    assert render([_finding("100%\n::set-env name=a::b")]).endswith(
        r"::100%25\x0a::set-env name=a::b%0Ado"
    )


def test_nothing_found_is_nothing_said() -> None:
    """Without findings there is no output."""
    assert "" == render([])


@given(st.lists(st.text(st.characters())))
def test_each_finding_is_one_line(texts: list[str]) -> None:
    """However many line breaks there are, each finding makes one command."""
    lines = render([_finding(text, file=text) for text in texts]).splitlines()

    assert len(texts) == len(lines)
    assert all(line.startswith("::error ") for line in lines)
