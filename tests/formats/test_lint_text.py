import pytest

from holdfast.errors import Mistake, PolicyError, Problem
from holdfast.findings.finding import Severity
from holdfast.formats.lint_text import problem_findings


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (None, "HF100"),
        (Mistake.EMPTY_INPUT, "HF111"),
        (Mistake.ALL_ZERO, "HF112"),
        (Mistake.LENGTH, "HF113"),
        (Mistake.ENCODING, "HF114"),
        (Mistake.TWICE, "HF115"),
        (Mistake.ONE_PIN, "HF116"),
        (Mistake.NO_BACKUP, "HF117"),
        (Mistake.MISSPELT_KEY, "HF148"),
    ],
)
def test_each_kind_of_mistake_has_its_rule(mistake: Mistake | None, rule: str) -> None:
    """And is an error, since nothing can be used that has it."""
    problem = Problem("a.b", "it is wrong", "mend it", mistake)
    (finding,) = problem_findings(PolicyError([problem], source="pins.toml"))

    assert (rule, Severity.ERROR, "a.b", "it is wrong", "mend it", "pins.toml") == (
        finding.rule,
        finding.severity,
        finding.place,
        finding.reason,
        finding.action,
        finding.file,
    )


def test_every_kind_is_known() -> None:
    """A new one needs a rule."""
    problems = [Problem("", "x", "y", mistake) for mistake in Mistake]

    assert len(Mistake) == len({one.rule for one in problem_findings(PolicyError(problems))})
