"""Findings as JUnit XML, for the test reports of CI systems.

The format has no standard; this is the part of it that all of them read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from holdfast.findings.escape import escaped
from holdfast.findings.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.findings.finding import Finding

_TEXT_LIMIT = 2000


def render(findings: Sequence[Finding], passed: Sequence[str] = ()) -> str:
    """Return one test suite: an error is a failed case, anything less a case that says something.

    Args:
        findings: What was found.
        passed: The places that were checked and about which there is nothing to say.
    """
    failures = sum(finding.severity is Severity.ERROR for finding in findings)
    suite = ET.Element(
        "testsuite",
        name="holdfast",
        tests=str(len(findings) + len(passed)),
        failures=str(failures),
        errors="0",
        skipped="0",
    )
    for finding in findings:
        _add_case(suite, finding)
    for place in passed:
        ET.SubElement(suite, "testcase", classname="holdfast", name=_text(place))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suites, encoding="unicode")}'


def _add_case(suite: ET.Element, finding: Finding) -> None:
    place = f"{finding.file}: {finding.place}" if finding.file else finding.place
    case = ET.SubElement(suite, "testcase", classname=f"holdfast.{finding.rule}", name=_text(place))
    text = "\n".join(_text(part) for part in (finding.action, finding.source) if part)
    if finding.severity is Severity.ERROR:
        failure = ET.SubElement(case, "failure", type=finding.rule, message=_text(finding.reason))
        failure.text = text
    else:
        output = f"{finding.severity.value}: {_text(finding.reason)}\n{text}"
        ET.SubElement(case, "system-out").text = output


def _text(text: str) -> str:
    """Return text without what XML 1.0 cannot hold, not even as a reference (section 2.2)."""
    return escaped(text, _TEXT_LIMIT)
