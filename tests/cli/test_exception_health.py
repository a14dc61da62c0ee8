from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.cli.exception_health import exceptions
from holdfast.cli.health import Health
from holdfast.findings.finding import Severity
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ONE = LocalException(
    hosts=(HostPattern.parse("api.example.com"), HostPattern.parse("strict.example.com")),
    anchor=b"der",
    until=datetime(2026, 12, 1, tzinfo=UTC),
    reason="ticket NET-12",
)
WHAT = "api.example.com, strict.example.com, until 2026-12-01T00:00:00Z: ticket NET-12"


@pytest.fixture
def policy() -> Policy:
    """Return a policy with a set that allows exceptions, and a strict one."""
    sets = [
        PinSet(
            name=name,
            hosts=(HostPattern.parse(f"{name}.example.com"),),
            mode=Mode.ENFORCE,
            strict=name == "strict",
            leaf=(Pin.of_spki(b"key"),),
            backup=(Pin.of_spki(b"spare"),),
        )
        for name in ("api", "strict")
    ]
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=tuple(sets))


def told(answers: list[Health]) -> list[tuple[str | None, Severity | None, str]]:
    """Return what matters of each answer."""
    assert all(answer.action and answer.name == "local exception" for answer in answers)
    return [(answer.rule, answer.severity, answer.detail) for answer in answers]


def test_each_exception_is_shown_with_its_effect(policy: Policy) -> None:
    """One in force is a warning, and so is each host on which it has no effect."""
    assert [
        ("HF509", Severity.WARNING, f"in force: {WHAT} (pin sets: api)"),
        (
            "HF510",
            Severity.WARNING,
            f"it has no effect on strict.example.com: pin set strict is strict ({WHAT})",
        ),
    ] == told(list(exceptions((ONE,), policy, NOW)))


def test_one_without_any_effect_is_not_in_force(policy: Policy) -> None:
    """Nothing is let pass by an exception that names unlisted hosts only."""
    vain = replace(ONE, hosts=(HostPattern.parse("other.example"),))
    (answer,) = exceptions((vain,), policy, NOW)

    assert "HF510" == answer.rule
    assert "no pattern of the policy covers it" in answer.detail


@pytest.mark.parametrize("now", [ONE.until, ONE.until - timedelta(days=91)])
def test_one_out_of_force_is_a_note(policy: Policy, now: datetime) -> None:
    """One that has ended, or seems to end too far ahead, lets nothing pass."""
    assert [("HF510", Severity.NOTE, f"not in force: {WHAT}")] == told(
        list(exceptions((ONE,), policy, now))
    )


def test_without_a_policy_it_counts_as_in_force() -> None:
    """Where it has an effect cannot be known then, and that is said."""
    ((rule, severity, detail),) = told(list(exceptions((ONE,), None, NOW)))

    assert ("HF509", Severity.WARNING) == (rule, severity)
    assert "is not known without --policy" in detail
