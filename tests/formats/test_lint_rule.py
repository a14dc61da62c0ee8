from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule


def test_finding_carries_the_rule() -> None:
    """A finding has id, severity and source of its rule, and place, set and words of the case."""
    rule = Rule("HF199", Severity.NOTE, "An example", "It is needed here.", "RFC 7469")

    assert Finding(
        rule="HF199",
        severity=Severity.NOTE,
        place="pin_set.bank.leaf",
        reason="something is so",
        action="change it",
        source="RFC 7469",
        subject="bank",
    ) == rule.in_set("bank", "leaf", "something is so", "change it")
