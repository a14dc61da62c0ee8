from datetime import UTC, datetime, timedelta

import pytest

from holdfast.certificates.spki import chain_certificate
from holdfast.cli.soon_over import TITLES, soon_over
from holdfast.lab.authorities import self_signed
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ENDPOINT = Endpoint("https", "a.example", 443)


@pytest.mark.parametrize(
    ("begun", "left", "rules"),
    [
        (75 * DAY, 14 * DAY, ["HF209"]),  # of 89 days, less than a sixth is left
        (60 * DAY, 30 * DAY, []),
        (5 * DAY, DAY, []),  # a sixth of a six-day certificate, exactly
        (5 * DAY, DAY / 2, ["HF209"]),
        (90 * DAY, -DAY, []),  # over, which verification tells
    ],
)
def test_certificate_near_its_end(begun: timedelta, left: timedelta, rules: list[str]) -> None:
    """What counts is the part of its life that is left: short-lived ones are not nagged about."""
    identity = self_signed("a.example", not_before=NOW - begun, not_after=NOW + left)

    found = soon_over(ENDPOINT, chain_certificate(identity.der), None, NOW)

    assert rules == [finding.rule for finding in found]


@pytest.mark.parametrize(
    ("left", "rules"), [(29 * DAY, ["HF210"]), (31 * DAY, []), (-DAY, []), (None, [])]
)
def test_set_near_its_end(left: timedelta | None, rules: list[str]) -> None:
    """A set is told a month ahead, with what happens then; an expired one is told elsewhere."""
    pin_set = PinSet(
        name="pay",
        hosts=(HostPattern.parse("a.example"),),
        mode=Mode.REPORT_ONLY,
        leaf=(Pin.of_spki(b"key"),),
        expires=None if left is None else NOW + left,
        on_expiry=None if left is None else OnExpiry.ALLOW,
    )

    found = list(soon_over(ENDPOINT, None, pin_set, NOW))

    assert rules == [finding.rule for finding in found]
    assert all(finding.reason.endswith("then: allow") for finding in found)
    assert {"HF209", "HF210"} == TITLES.keys()
