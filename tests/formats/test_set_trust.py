from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from holdfast.formats.loss import Effect, LossKind
from holdfast.formats.platform import Expiry
from holdfast.formats.registry import format_named
from holdfast.formats.set_translation import SetTranslation
from holdfast.formats.set_trust import expiry_of, tell_of_break_glass
from holdfast.pins.pin_set import OnExpiry, PinSet
from tests.formats.test_round_trip import POLICY

MIDNIGHT = datetime(2027, 3, 1, tzinfo=UTC)


def _one(expiry: Expiry, **fields: object) -> SetTranslation:
    pin_set: PinSet = replace(POLICY.pin_sets[0], **fields)  # type: ignore[arg-type]
    semantics = replace(format_named("android").semantics, expiry=expiry)
    return SetTranslation(POLICY, pin_set, semantics, {}, [])


@pytest.mark.parametrize(
    ("expiry", "expires", "day"),
    [
        (Expiry.UTC_DAY, MIDNIGHT, date(2027, 3, 1)),
        (Expiry.UTC_DAY, MIDNIGHT + timedelta(seconds=1), date(2027, 3, 2)),
        (Expiry.UTC_DAY, MIDNIGHT.astimezone(timezone(timedelta(hours=9))), date(2027, 3, 1)),
        # In UTC+14 the first of March begins at ten on the day before, in UTC.
        (Expiry.LOCAL_DAY, MIDNIGHT - timedelta(hours=14), date(2027, 3, 1)),
        (Expiry.LOCAL_DAY, MIDNIGHT, date(2027, 3, 2)),
    ],
)
def test_pins_never_end_before_their_time(expiry: Expiry, expires: datetime, day: date) -> None:
    """A day that begins anywhere before the policy's time is too early."""
    one = _one(expiry, expires=expires, on_expiry=OnExpiry.ALLOW)

    assert day == expiry_of(one)
    is_exact = expiry is Expiry.UTC_DAY and day == expires.astimezone(UTC).date()
    assert is_exact is (one.losses == [])


def test_an_expiry_that_is_not_known() -> None:
    """It is enforced beyond it, which refuses what the policy allows."""
    one = _one(Expiry.NONE, expires=MIDNIGHT, on_expiry=OnExpiry.ALLOW)

    assert expiry_of(one) is None
    assert [(LossKind.EXPIRY, Effect.REFUSES)] == [(one.kind, one.effect) for one in one.losses]


def test_what_goes_on_being_enforced_has_no_end() -> None:
    """Then the time is one of the policy's own affairs."""
    one = _one(Expiry.UTC_DAY, expires=MIDNIGHT, on_expiry=OnExpiry.ENFORCE)

    assert expiry_of(one) is None
    assert [] == one.losses


def test_break_glass_is_lost() -> None:
    """The platform refuses meanwhile."""
    one = _one(Expiry.NONE, report_only_until=MIDNIGHT)
    tell_of_break_glass(one)

    assert [f"pin_set.{one.pin_set.name}.report_only_until"] == [loss.place for loss in one.losses]
