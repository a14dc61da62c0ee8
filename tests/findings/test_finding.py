"""A finding as the object that programs read."""

import json

from holdfast.findings.finding import Finding, Severity, finding_as_json


def test_json_has_every_field() -> None:
    """All fields are there in a fixed order, those without a value as null."""
    finding = Finding(
        rule="HF201",
        severity=Severity.ERROR,
        place="https://api.example.com:443",
        reason="why",
        action="what to do",
        subject="api.example.com",
    )

    assert (
        '{"rule": "HF201", "severity": "error", "place": "https://api.example.com:443", '
        '"reason": "why", "action": "what to do", "source": null, '
        '"subject": "api.example.com", "file": null}'
    ) == json.dumps(finding_as_json(finding))
