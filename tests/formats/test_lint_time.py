from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.formats.lint_time import EXPIRY_NOTICE, RULES, time_findings
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet
from holdfast.pins.policy import BREAK_GLASS_LIMIT, Policy, Unlisted

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(days=365)
LIVES_UNTIL = NOW + timedelta(days=200)
REPORT_ONLY = {"mode": Mode.REPORT_ONLY}


def _expiry(expires: datetime, on_expiry: OnExpiry = OnExpiry.ENFORCE) -> dict[str, Any]:
    return {"expires": expires, "on_expiry": on_expiry}


def _glass(until: datetime) -> dict[str, Any]:
    return {"report_only_until": until}


# Rule, place within the set, fields that trigger it there, fields that are near and do not.
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("HF120", "expires", _expiry(NOW, OnExpiry.ALLOW), _expiry(NOW + SECOND, OnExpiry.ALLOW)),
    ("HF120", "expires", _expiry(NOW, OnExpiry.REPORT_ONLY), _expiry(NOW)),
    (
        "HF121",
        "expires",
        _expiry(NOW, OnExpiry.ALLOW) | REPORT_ONLY,
        _expiry(NOW, OnExpiry.ALLOW),
    ),
    ("HF121", "expires", _expiry(NOW), _expiry(NOW + SECOND)),
    ("HF122", "expires", _expiry(NOW + SECOND), _expiry(NOW)),
    ("HF122", "expires", _expiry(NOW + EXPIRY_NOTICE - SECOND), _expiry(NOW + EXPIRY_NOTICE)),
    ("HF123", "on_expiry", _expiry(LATER, OnExpiry.ALLOW), _expiry(LATER)),
    ("HF126", "expires", _expiry(LIVES_UNTIL - SECOND), _expiry(LIVES_UNTIL)),
    (
        "HF123",
        "on_expiry",
        _expiry(LATER, OnExpiry.REPORT_ONLY),
        _expiry(LATER, OnExpiry.REPORT_ONLY) | REPORT_ONLY,
    ),
    ("HF124", "report_only_until", _glass(NOW + SECOND), _glass(NOW)),
    (
        "HF124",
        "report_only_until",
        _glass(NOW + BREAK_GLASS_LIMIT),
        _glass(NOW + BREAK_GLASS_LIMIT + SECOND),
    ),
    ("HF125", "report_only_until", _glass(NOW), _glass(NOW + SECOND)),
    (
        "HF125",
        "report_only_until",
        _glass(NOW + SECOND) | REPORT_ONLY,
        _glass(NOW + SECOND),
    ),
    ("HF125", "report_only_until", _glass(NOW + BREAK_GLASS_LIMIT + SECOND), {}),
]


def _findings(pin_set: PinSet) -> set[tuple[str, str]]:
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))
    return {(finding.rule, finding.place) for finding in time_findings(policy, NOW, LIVES_UNTIL)}


@pytest.mark.parametrize(("rule", "key", "spoiled", "near"), CASES)
def test_rule(
    make_set: Callable[..., PinSet],
    rule: str,
    key: str,
    spoiled: dict[str, Any],
    near: dict[str, Any],
) -> None:
    """The rule is told at its place for the set that breaks it, and not for one that is near."""
    assert (rule, f"pin_set.bank.{key}") in _findings(make_set(**spoiled))
    assert rule not in dict(_findings(make_set(**near)))


def test_expired_set_is_told_once(make_set: Callable[..., PinSet]) -> None:
    """What expiry will do is not told beside what it has done."""
    pin_set = make_set(**_expiry(NOW, OnExpiry.ALLOW))

    assert {("HF120", "pin_set.bank.expires")} == _findings(pin_set)


def test_set_without_times(make_set: Callable[..., PinSet]) -> None:
    """A set that never expires and has no break-glass has nothing to fear from the clock."""
    assert set() == _findings(make_set())


def test_every_rule_is_tried() -> None:
    """Each rule about times has a case in this file."""
    assert {rule.id for rule in RULES} == {rule for rule, *_ in CASES}
