"""JUnit XML that parses whatever the findings say."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from holdfast.findings.finding import Finding, Severity
from holdfast.findings.junit import render


def _finding(severity: Severity, text: str = "why", file: str | None = None) -> Finding:
    return Finding(
        rule="HF201",
        severity=severity,
        place="https://api.example.com:443",
        reason=text,
        action=text,
        source="RFC 7469",
        file=file,
    )


def test_report() -> None:
    """Errors fail, the rest says something, and what passed is there too."""
    findings = [_finding(Severity.ERROR), _finding(Severity.WARNING, file="pins.toml")]
    expected = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testsuite name="holdfast" tests="3" failures="1" errors="0" skipped="0">
    <testcase classname="holdfast.HF201" name="https://api.example.com:443">
      <failure type="HF201" message="why">why
RFC 7469</failure>
    </testcase>
    <testcase classname="holdfast.HF201" name="pins.toml: https://api.example.com:443">
      <system-out>warning: why
why
RFC 7469</system-out>
    </testcase>
    <testcase classname="holdfast" name="https://www.example.com:443" />
  </testsuite>
</testsuites>"""

    assert expected == render(findings, passed=["https://www.example.com:443"])


@given(st.text(st.characters()), st.sampled_from(Severity))
def test_any_text_parses(text: str, severity: Severity) -> None:
    """Text with characters that XML cannot hold still makes a document, in UTF-8."""
    document = render([_finding(severity, text)], passed=[text])

    assert 2 == len(ET.fromstring(document.encode("utf-8")).findall("testsuite/testcase"))


def test_forbidden_characters_are_shown() -> None:
    """What XML cannot hold is not lost, but written out."""
    case = ET.fromstring(render([_finding(Severity.ERROR, "a\x00b\ufffe")]).encode())
    failure = case.find("testsuite/testcase/failure")

    assert failure is not None
    assert r"a\x00b\ufffe" == failure.get("message")
