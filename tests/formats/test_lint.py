import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import PolicyError, Problem
from holdfast.findings.finding import Severity
from holdfast.formats.lint import RULES, lint, problems_as_findings
from holdfast.formats.lint_rule import Rule
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_sound_policy(make_set: Callable[..., PinSet]) -> None:
    """A policy without flaw has no finding."""
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(make_set(),))

    assert () == lint(policy, now=NOW, public_suffix=frozenset({"com"}).__contains__)


def test_all_groups_are_asked(make_set: Callable[..., PinSet]) -> None:
    """Rules about keys, times and reach are all told in one go, each with its table entry."""
    pin_set = make_set(
        "**.com", mode=Mode.REPORT_ONLY, backup=(), report_only_until=NOW, name="all"
    )
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))
    findings = lint(policy, now=NOW, public_suffix=frozenset({"com"}).__contains__)
    table = {rule.id: rule for rule in RULES}

    assert ["HF103", "HF125", "HF140", "HF142", "HF161"] == [finding.rule for finding in findings]
    assert [(table[finding.rule].severity, table[finding.rule].source) for finding in findings] == [
        (finding.severity, finding.source) for finding in findings
    ]


def test_problems_become_findings() -> None:
    """Each problem of a policy that did not load is an error with the same place and fix."""
    problems = [
        Problem("pin_set.bank.leaf[0]", "the pin is empty", "remove it"),
        Problem("holdfast.unlisted", "it is missing", "write it"),
    ]
    findings = problems_as_findings(PolicyError(problems, source="pins.toml"))

    assert [
        ("HF100", Severity.ERROR, "pin_set.bank.leaf[0]", "the pin is empty", "remove it"),
        ("HF100", Severity.ERROR, "holdfast.unlisted", "it is missing", "write it"),
    ] == [
        (finding.rule, finding.severity, finding.place, finding.reason, finding.action)
        for finding in findings
    ]
    assert {"pins.toml"} == {finding.file for finding in findings}


def test_rule_ids_are_sorted_and_distinct() -> None:
    """The table reads by id, and no id has two meanings."""
    ids = [rule.id for rule in RULES]

    assert sorted(set(ids)) == ids


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_explains_itself(rule: Rule) -> None:
    """Each rule has an HF1xx id, a title without a period and a reason in sentences."""
    assert rule.id.startswith("HF1")
    assert not rule.title.endswith(".")
    assert rule.why.endswith(".")


def test_page_is_up_to_date() -> None:
    """docs/lint-rules.md is what scripts/lint-rules prints from the table."""
    printed = subprocess.run(
        [sys.executable, ROOT / "scripts" / "lint-rules"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert ROOT.joinpath("docs", "lint-rules.md").read_text("utf-8") == printed
