"""SARIF 2.1.0, as far as its schema requires things of us."""

import json

import pytest

from holdfast.findings.finding import Finding, Severity
from holdfast.findings.sarif import render

TITLES = {"HF101": "One", "HF201": "Two"}


def _finding(file: str | None = "pins.toml") -> Finding:
    return Finding(
        rule="HF201",
        severity=Severity.WARNING,
        place="pin_set.payments.leaf[0]",
        reason="a reason\x1b[2J",
        action="an action",
        source="RFC 7469 section 2.6",
        file=file,
    )


def test_log() -> None:
    """A log names the tool, its rules, and each result by its rule."""
    log = json.loads(render([_finding()], TITLES))

    assert {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "holdfast",
                        "rules": [
                            {"id": "HF101", "shortDescription": {"text": "One"}},
                            {"id": "HF201", "shortDescription": {"text": "Two"}},
                        ],
                    }
                },
                "results": [
                    {
                        "ruleId": "HF201",
                        "ruleIndex": 1,
                        "level": "warning",
                        "message": {
                            "text": "a reason\\x1b[2J\nan action\nRFC 7469 section 2.6",
                        },
                        "locations": [
                            {
                                "logicalLocations": [
                                    {"fullyQualifiedName": "pin_set.payments.leaf[0]"}
                                ],
                                "physicalLocation": {"artifactLocation": {"uri": "pins.toml"}},
                            }
                        ],
                    }
                ],
            }
        ],
    } == log


def test_nothing_found_is_an_empty_list() -> None:
    """A run without findings has results, which are none: null would mean it was not run."""
    assert [] == json.loads(render([], TITLES))["runs"][0]["results"]


def test_finding_without_a_file_has_no_physical_location() -> None:
    """A live endpoint is in no file."""
    location = json.loads(render([_finding(None)], TITLES))["runs"][0]["results"][0]["locations"][0]

    assert ["logicalLocations"] == list(location)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("conf/my pins.toml", "conf/my%20pins.toml"),
        ("conf\\pins.toml", "conf/pins.toml"),
        ("straße%.toml", "stra%C3%9Fe%25.toml"),
    ],
)
def test_file_is_a_uri(file: str, expected: str) -> None:
    """A path is written as the URI reference that SARIF asks for."""
    result = json.loads(render([_finding(file)], TITLES))["runs"][0]["results"][0]

    assert expected == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


@pytest.mark.parametrize("severity", Severity)
def test_severity_is_a_level(severity: Severity) -> None:
    """Our severities are levels of SARIF."""
    assert severity.value in {"none", "note", "warning", "error"}
