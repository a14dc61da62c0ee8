"""Findings as SARIF 2.1.0 (OASIS standard), for code scanning services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from holdfast.findings.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.findings.finding import Finding

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_TEXT_LIMIT = 2000
# RFC 3986 section 2.3, and what divides a path.
_URI_CHARACTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def render(findings: Sequence[Finding], titles: Mapping[str, str]) -> str:
    """Return a log with one run.

    Args:
        findings: What was found.
        titles: What each rule that was checked is about, by its id.
    """
    rules = list(titles)
    driver = {
        "name": "holdfast",
        "rules": [{"id": rule, "shortDescription": {"text": titles[rule]}} for rule in rules],
    }
    results = [_result(finding, rules.index(finding.rule)) for finding in findings]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2)


def _result(finding: Finding, rule_index: int) -> dict[str, object]:
    parts = [finding.reason, finding.action, finding.source]
    location: dict[str, object] = {
        "logicalLocations": [{"fullyQualifiedName": escaped(finding.place, _TEXT_LIMIT)}]
    }
    if finding.file is not None:
        location["physicalLocation"] = {"artifactLocation": {"uri": _uri(finding.file)}}
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.severity.value,
        "message": {"text": "\n".join(escaped(part, _TEXT_LIMIT) for part in parts if part)},
        "locations": [location],
    }


def _uri(path: str) -> str:
    """Return a path as a relative URI reference."""
    octets = path.replace("\\", "/").encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in _URI_CHARACTERS else f"%{octet:02X}" for octet in octets)
