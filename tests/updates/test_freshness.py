from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.updates.freshness import Floor, State, state_of, trusted_now

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WITHOUT_OFFSET = datetime(2026, 11, 1)  # noqa: DTZ001  that is the mistake
LIMIT = timedelta(days=90)
SECOND = timedelta(seconds=1)

NUMBERS = st.integers(0, 3) | st.just(2**63 - 1)
TIMES = st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days))
FLOORS = st.builds(Floor, NUMBERS, NUMBERS, TIMES)


@pytest.mark.parametrize(
    ("age", "complete", "incomplete"),
    [
        (-LIMIT, State.FRESH, State.STALE),
        (-SECOND, State.FRESH, State.STALE),
        (0 * SECOND, State.STALE, State.STALE),
        (LIMIT - SECOND, State.STALE, State.STALE),
        (LIMIT, State.EXPIRED, State.EXPIRED),
        (LIMIT * 20, State.EXPIRED, State.EXPIRED),
    ],
)
def test_the_state_follows_from_the_age(age: timedelta, complete: State, incomplete: State) -> None:
    """A policy is fresh, then stale, then expired; without its deny list it is never fresh."""
    assert complete == state_of(NOW - age, NOW, LIMIT)
    assert incomplete == state_of(NOW - age, NOW, LIMIT, is_complete=False)


def test_no_time_is_too_far_away() -> None:
    """Metadata that expire in the last second that there is are fresh, and no error."""
    last = datetime.max.replace(tzinfo=UTC)

    assert State.FRESH == state_of(last, NOW, timedelta.max)
    assert State.EXPIRED == state_of(NOW, last, LIMIT)


def test_without_a_limit_nothing_is_stale() -> None:
    """A limit of nothing means: expired at once."""
    assert State.EXPIRED == state_of(NOW, NOW, timedelta())


def test_bad_times_are_refused() -> None:
    """A time without an offset, or a negative limit, is a mistake of the caller and raises."""
    with pytest.raises(ValueError, match="no offset"):
        state_of(WITHOUT_OFFSET, NOW, LIMIT)
    with pytest.raises(ValueError, match="no offset"):
        state_of(NOW, WITHOUT_OFFSET, LIMIT)
    with pytest.raises(ValueError, match="negative"):
        state_of(NOW, NOW, -SECOND)
    with pytest.raises(ValueError, match="no offset"):
        trusted_now(WITHOUT_OFFSET, Floor(0, 0, NOW))
    with pytest.raises(ValueError, match="no offset"):
        Floor(0, 0, WITHOUT_OFFSET)
    with pytest.raises(ValueError, match="negative"):
        Floor(0, -1, NOW)
    with pytest.raises(ValueError, match="negative"):
        Floor(-1, 0, NOW)


def test_a_higher_epoch_starts_again() -> None:
    """The highest serial that there is can be followed, by the epoch after it and nothing else."""
    floor = Floor(1, 2**63 - 1, NOW)

    assert floor.admits(1, 2**63 - 1)
    assert not floor.admits(1, 2**63 - 2)
    assert floor.admits(2, 1)
    assert not floor.admits(0, 2**63 - 1)
    assert Floor(2, 1, NOW) == floor.raised_by(Floor(2, 1, NOW - SECOND))


def test_an_equal_floor_stays_the_same_object() -> None:
    """Nothing new gives the floor back that was there, so that nothing needs writing."""
    floor = Floor(1, 5, NOW)

    assert floor is floor.raised_by(Floor(1, 4, NOW))
    assert floor is floor.raised_by(Floor(0, 9, NOW - SECOND))


@given(FLOORS, FLOORS, NUMBERS, NUMBERS)
def test_a_floor_only_rises(one: Floor, other: Floor, epoch: int, serial: int) -> None:
    """Whatever raises it, what was refused stays refused, and the order of raising is no matter."""
    raised = one.raised_by(other)

    assert raised == other.raised_by(one)
    assert raised.admits(epoch, serial) == (
        one.admits(epoch, serial) and other.admits(epoch, serial)
    )
    assert raised.time == max(one.time, other.time)


@given(TIMES, FLOORS)
def test_the_clock_never_runs_behind(clock: datetime, floor: Floor) -> None:
    """A clock that was set back shows the floor's time, one that was not shows its own."""
    assert max(clock, floor.time) == trusted_now(clock, floor)
