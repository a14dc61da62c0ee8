"""Findings as workflow commands of GitHub Actions, which show them as annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.findings.escape import escaped
from holdfast.findings.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.findings.finding import Finding

_TEXT_LIMIT = 2000
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(findings: Sequence[Finding]) -> str:
    """Return one command per line; nothing for no findings."""
    return "\n".join(map(_command, findings))


def _command(finding: Finding) -> str:
    properties = {"file": finding.file, "title": f"{finding.rule} {finding.place}"}
    shown = ",".join(f"{key}={_property(text)}" for key, text in properties.items() if text)
    parts = (finding.reason, finding.action, finding.source)
    message = "\n".join(escaped(part, _TEXT_LIMIT) for part in parts if part)
    return f"::{_COMMANDS[finding.severity]} {shown}::{_data(message)}"


def _data(text: str) -> str:
    """Escape as actions/toolkit does, so that no text can end a command or begin another."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(escaped(text, _TEXT_LIMIT)).replace(":", "%3A").replace(",", "%2C")
