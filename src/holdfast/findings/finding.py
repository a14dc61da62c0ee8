"""A finding: something a check says about a policy, an endpoint or a plan, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters. The words are those of SARIF; an error makes the exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Its texts may quote certificates and hosts: who shows them escapes them, as all renderers do.
    """

    rule: str
    """`HF1xx` lint, `HF2xx` live endpoint, `HF3xx` advice, `HF4xx` rotation."""
    severity: Severity
    place: str
    """Where: a key of the policy (`pin_set.payments.backup[0]`) or an endpoint (`https://api.example.com:443`)."""
    reason: str
    """What is the case."""
    action: str
    """What to do about it."""
    source: str | None = None
    """Where it is written that this matters: a URL, or an RFC and its section."""
    subject: str | None = None
    """What it is about, for filtering: a host or a pin set's name."""
    file: str | None = None
    """The file in which `place` is, relative to where the check was started."""


def finding_as_json(finding: Finding) -> dict[str, str | None]:
    """Return a finding as the object that `--format json` and `jsonl` print."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "place": finding.place,
        "reason": finding.reason,
        "action": finding.action,
        "source": finding.source,
        "subject": finding.subject,
        "file": finding.file,
    }
