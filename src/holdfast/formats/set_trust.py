"""What else a set says beside hosts and pins: its trust, and until when it holds. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from holdfast.formats.loss import Effect, LossKind
from holdfast.formats.platform import Expiry, Rule, moment_of
from holdfast.formats.set_translation import SetTranslation
from holdfast.pins.pin_set import OnExpiry, Trust

__all__ = ["EASTERNMOST", "expiry_of", "tell_of_break_glass", "tell_of_trust"]

EASTERNMOST = timedelta(hours=14)  # the zone in which a day begins first, UTC+14
_ONE_DAY = timedelta(days=1)


def tell_of_trust(one: SetTranslation, rule: Rule) -> None:
    """Say what the platform trusts otherwise than the set."""
    trust, title = one.pin_set.trust, one.title
    if one.semantics.verifies:
        if trust is Trust.PRIVATE:
            one.lose(
                LossKind.ANCHORS,
                Effect.REFUSES,
                "anchors",
                f"{title} has to trust the private anchors by other means: else it refuses all",
            )
            one.lose(
                LossKind.ANCHORS,
                Effect.LETS_THROUGH,
                "anchors",
                "a path to any anchor that the platform trusts counts, where a pin is on it",
            )
        if trust is Trust.PINS_ONLY:
            one.lose(
                LossKind.CHAIN,
                Effect.REFUSES,
                "trust",
                f"{title} verifies the chain too: a self-signed certificate is refused",
            )
            if rule.anywhere:
                one.lose(
                    LossKind.CHAIN,
                    Effect.LETS_THROUGH,
                    "trust",
                    "a pin may match on a CA of the path",
                )
        return
    if trust is not Trust.PINS_ONLY or one.pin_set.check_name is not False:
        one.lose(
            LossKind.CHAIN,
            Effect.LETS_THROUGH,
            "trust",
            f"{title} checks the pin alone: neither the chain nor the name nor the dates",
        )
    elif one.pin_set.check_validity is not False:
        one.lose(
            LossKind.CHAIN,
            Effect.LETS_THROUGH,
            "check_validity",
            f"{title} does not check the dates",
        )


def tell_of_break_glass(one: SetTranslation) -> None:
    """Say that it is not known there."""
    if one.pin_set.report_only_until is not None:
        one.lose(
            LossKind.BREAK_GLASS,
            Effect.REFUSES,
            "report_only_until",
            f"{one.title} knows no break-glass: the set is enforced meanwhile",
        )


def expiry_of(one: SetTranslation) -> date | None:
    """Return the day on which the pins end, if they do: never before the policy's own time."""
    expires = one.pin_set.expires
    if expires is None or one.pin_set.on_expiry is OnExpiry.ENFORCE:
        return None
    if one.semantics.expiry in (Expiry.NONE, Expiry.OF_LIST):
        one.lose(
            LossKind.EXPIRY,
            Effect.REFUSES,
            "expires",
            f"{one.title} knows no expiry: the pins are enforced beyond it",
        )
        return None
    if one.pin_set.on_expiry is OnExpiry.REPORT_ONLY:
        one.lose(
            LossKind.EXPIRY,
            Effect.NEITHER,
            "on_expiry",
            "after the expiry nothing is reported",
        )
    is_local = one.semantics.expiry is Expiry.LOCAL_DAY
    day = _first_day(expires + (EASTERNMOST if is_local else timedelta()))
    if is_local or expires != moment_of(day):
        zone = "the device's own time" if is_local else "UTC"
        one.lose(
            LossKind.EXPIRY,
            Effect.REFUSES,
            "expires",
            f"the pins are enforced until {day} begins in {zone}, up to two days longer",
        )
    return day


def _first_day(time: datetime) -> date:
    """Return the first day that begins at a time or after it, in UTC."""
    day = time.astimezone(UTC).date()
    return day if moment_of(day) == time else day + _ONE_DAY
