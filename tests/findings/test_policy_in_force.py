from datetime import UTC, datetime, timedelta

import pytest

from holdfast.findings.policy_in_force import in_force
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def _set(name: str, *hosts: str, mode: Mode, until: datetime | None = None) -> PinSet:
    return PinSet(
        name=name,
        hosts=tuple(map(HostPattern.parse, hosts)),
        mode=mode,
        leaf=(Pin.of_spki(name.encode()),),
        single_pin=ACCEPT_LOCK_OUT,
        report_only_until=until,
    )


@pytest.mark.parametrize(
    ("unlisted", "others"),
    [
        (Unlisted.REFUSE, "refused"),
        (Unlisted.REPORT_ONLY, "let pass and reported"),
        (Unlisted.ALLOW, "let pass"),
    ],
)
def test_hosts_are_counted_by_mode(unlisted: Unlisted, others: str) -> None:
    """The patterns of all sets count, and the others are named."""
    sets = (
        _set("a", "a.example", "*.b.example", mode=Mode.ENFORCE),
        _set("c", "c.example", mode=Mode.REPORT_ONLY),
    )

    told = in_force(Policy(unlisted=unlisted, pin_sets=sets), NOW)

    assert f"2 host patterns are enforced, 1 report-only; other hosts are {others}" == told


def test_break_glass_counts_as_what_it_is() -> None:
    """A set that is report-only for the moment is not called enforced."""
    sets = (
        _set("a", "a.example", mode=Mode.ENFORCE, until=NOW + timedelta(days=1)),
        _set("b", "b.example", mode=Mode.ENFORCE),
    )

    told = in_force(Policy(unlisted=Unlisted.ALLOW, pin_sets=sets), NOW)

    assert told.startswith("1 host pattern is enforced, 1 report-only;")
