from collections.abc import Callable
from typing import Any

import pytest

from holdfast.formats.lint_reach import RULES, reach_findings
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.pin_set import Mode, PinSet, Redirects, Trust
from holdfast.pins.policy import Policy, Unlisted

REPORT_ONLY = {"mode": Mode.REPORT_ONLY}
PINS_ONLY = {"trust": Trust.PINS_ONLY}
ENDPOINT = Endpoint("https", "a.example.com", 443)

# Rule, place within the set, host and fields that trigger it there, those that are near and do not.
OF_ONE_SET: list[tuple[str, str, tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = [
    ("HF140", "hosts[0]", ("*.co.uk", {}), ("co.uk", {})),
    ("HF140", "hosts[0]", ("**.co.uk", {}), ("**.example.co.uk", {})),
    ("HF142", "endpoints", ("**.example.com", {}), ("**.example.com", {"endpoints": (ENDPOINT,)})),
    ("HF142", "endpoints", ("*.example.com", {}), ("example.com", {})),
    (
        "HF143",
        "redirects",
        ("example.com", {"redirects": Redirects.ANY}),
        ("example.com", {"redirects": Redirects.PINNED_ONLY}),
    ),
    (
        "HF143",
        "redirects",
        ("example.com", {"redirects": Redirects.ANY}),
        ("example.com", {"redirects": Redirects.ANY} | REPORT_ONLY),
    ),
    (
        "HF144",
        "strict",
        ("example.com", {"strict": True} | REPORT_ONLY),
        ("example.com", {"strict": True}),
    ),
    ("HF145", "owner", ("example.com", {"owner": None}), ("example.com", {})),
]
OF_TWO_SETS = {"HF141"}
OF_THE_POLICY = {"HF160", "HF161", "HF162"}


def _findings(*pin_sets: PinSet, unlisted: Unlisted = Unlisted.REFUSE) -> set[tuple[str, str]]:
    policy = Policy(unlisted=unlisted, pin_sets=pin_sets)
    found = reach_findings(policy, frozenset({"uk", "co.uk"}).__contains__)
    return {(finding.rule, finding.place) for finding in found}


@pytest.mark.parametrize(("rule", "key", "spoiled", "near"), OF_ONE_SET)
def test_rule_of_one_set(
    make_set: Callable[..., PinSet],
    rule: str,
    key: str,
    spoiled: tuple[str, dict[str, Any]],
    near: tuple[str, dict[str, Any]],
) -> None:
    """The rule is told at its place for the set that breaks it, and not for one that is near."""
    assert (rule, f"pin_set.bank.{key}") in _findings(make_set(spoiled[0], **spoiled[1]))
    assert rule not in dict(_findings(make_set(near[0], **near[1])))


def test_public_suffixes_need_a_list(make_set: Callable[..., PinSet]) -> None:
    """HF140 says nothing when the caller has no list of public suffixes."""
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(make_set("**.co.uk"),))

    assert "HF140" not in {finding.rule for finding in reach_findings(policy, None)}


@pytest.mark.parametrize(
    ("enforced", "weaker"),
    [
        ("**.example.com", "api.example.com"),
        ("**.example.com", "example.com"),
        ("**.example.com", "*.example.com"),
        ("**.example.com", "*.api.example.com"),
        ("**.example.com", "**.api.example.com"),
        ("*.example.com", "api.example.com"),
        ("*.example.com", "**.api.example.com"),
    ],
)
@pytest.mark.parametrize("weakness", [REPORT_ONLY, PINS_ONLY], ids=["report-only", "pins-only"])
def test_shadowing(
    make_set: Callable[..., PinSet], enforced: str, weaker: str, weakness: dict[str, Any]
) -> None:
    """HF141: a weaker set with a narrower pattern takes hosts from an enforced one."""
    strong = make_set(enforced)

    assert ("HF141", "pin_set.weak.hosts[0]") in _findings(
        strong, make_set(weaker, name="weak", **weakness)
    )
    assert "HF141" not in dict(_findings(strong, make_set(weaker, name="weak")))


@pytest.mark.parametrize(
    ("enforced", "weaker"),
    [
        ("api.example.com", "**.example.com"),
        ("api.example.com", "api2.example.com"),
        ("**.api.example.com", "**.example.com"),
        ("*.example.com", "*.api.example.com"),
        ("*.example.com", "a.b.example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "**.example.com"),
        ("**.example.com", "example.com.evil.example"),
        ("**.example.com", "notexample.com"),
    ],
)
def test_no_shadowing(make_set: Callable[..., PinSet], enforced: str, weaker: str) -> None:
    """HF141: a weaker set with a wider pattern, or without a common host, takes nothing."""
    weak = make_set(weaker, name="weak", **REPORT_ONLY)

    assert "HF141" not in dict(_findings(make_set(enforced), weak))


def test_shadowing_within_one_trust(make_set: Callable[..., PinSet]) -> None:
    """HF141: below an enforced pins-only set, another pins-only set is no weaker."""
    strong = make_set("**.example.com", **PINS_ONLY)
    other = make_set("api.example.com", name="other", **PINS_ONLY)

    assert "HF141" not in dict(_findings(strong, other))


def test_empty_policy(make_set: Callable[..., PinSet]) -> None:
    """HF160: a policy that pins nothing is told, whatever happens to unlisted hosts."""
    assert {("HF160", "pin_set")} == _findings(unlisted=Unlisted.ALLOW)
    assert "HF160" not in dict(_findings(make_set()))


def test_nothing_enforced(make_set: Callable[..., PinSet]) -> None:
    """HF161: it is told when every set is report-only, and not when one is enforced."""
    weak = make_set("weak.example", name="weak", **REPORT_ONLY)

    assert ("HF161", "pin_set") in _findings(weak)
    assert "HF161" not in dict(_findings(weak, make_set()))


@pytest.mark.parametrize("unlisted", [Unlisted.REFUSE, Unlisted.REPORT_ONLY])
def test_unlisted_allowed(make_set: Callable[..., PinSet], unlisted: Unlisted) -> None:
    """HF162: it is stated that other hosts are let pass, and only then."""
    assert {("HF162", "holdfast.unlisted")} == _findings(make_set(), unlisted=Unlisted.ALLOW)
    assert set() == _findings(make_set(), unlisted=unlisted)


def test_every_rule_is_tried() -> None:
    """Each rule about reach has a test in this file."""
    tried = {rule for rule, *_ in OF_ONE_SET} | OF_TWO_SETS | OF_THE_POLICY

    assert {rule.id for rule in RULES} == tried
