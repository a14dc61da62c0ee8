import pytest

from holdfast.formats.lint_reports import report_findings
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.registry import Reading

RULES = (
    Rule(name="a", hosts=(PlatformHost("example.com", Kinds.ONE_LABEL_DOWN),)),
    Rule(name="b", hosts=(PlatformHost("free.test"),), exempt=True),
)


def reading(address: str | None) -> Reading:
    """Return what a file says that sends reports there."""
    loss = Loss(
        kind=LossKind.REPORTS,
        effect=Effect.NEITHER,
        place="p",
        consequence="elsewhere",
        stated=address,
    )
    return Reading(RULES, (loss,))


@pytest.mark.parametrize(
    ("address", "rules"),
    [
        ("https://reports.test/x", []),
        (None, []),
        ("https://free.test/", []),
        ("https://x.y.example.com/", []),
        ("https://evil.test/?@example.com", []),
        ("https://[::1]:8443/", []),
        ("not an address", []),
        ("", []),
        ("HTTP://reports.test/", ["HF146"]),
        ("https://example.com", ["HF147"]),
        ("https://EXAMPLE.com:8443?x", ["HF147"]),
        ("https://reports.test@x.example.com./x", ["HF147"]),
        ("http://x.example.com/", ["HF146", "HF147"]),
    ],
)
def test_where_reports_go(address: str | None, rules: list[str]) -> None:
    """Neither in the clear, nor to a host whose pins are what is to be reported."""
    findings = list(report_findings(reading(address)))

    assert rules == [finding.rule for finding in findings]
    assert {"p"} >= {finding.place for finding in findings}


def test_other_losses_say_nothing_of_reports() -> None:
    """Even where they state a host."""
    loss = Loss(
        kind=LossKind.HOSTS, effect=Effect.NEITHER, place="", consequence="", stated="http://a.test"
    )

    assert [] == list(report_findings(Reading(RULES, (loss,))))
