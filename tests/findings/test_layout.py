"""Wrapping and columns, by the width that characters take on a terminal."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.findings.layout import columns, labeled, rfc3339, side_by_side, wrapped


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("abc", 3), ("日本", 4), ("é", 1)])
def test_wide_characters_take_two_columns(text: str, expected: int) -> None:
    """A line of ideographs is twice as wide as it is long."""
    assert expected == columns(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("abcdefghijkl mn", ["abcdefgh", "ijkl mn"]),
        ("日本日本日", ["日本日本", "日"]),
        ("a  b", ["a b"]),
    ],
)
def test_text_is_broken_at_spaces_first(text: str, expected: list[str]) -> None:
    """Lines break at spaces, and within a word only when it is longer than a line."""
    assert expected == wrapped(text, 8)


@given(st.text(), st.integers(2, 30))
def test_no_line_is_too_wide_and_nothing_is_lost(text: str, width: int) -> None:
    """Wrapped lines fit, and hold every character but the white space."""
    lines = wrapped(text, width)

    assert max(map(columns, lines)) <= width
    assert "".join(text.split()) == "".join("".join(lines).split())


def test_further_lines_stand_below_the_text() -> None:
    """The label is shown once, and the lines after the first are indented by its column."""
    assert ["ask    one two", "       three"] == labeled("ask", "one two three", indent=7, width=14)


def test_columns_stay_apart() -> None:
    """The shorter column is filled up, wide characters count, and no line ends in spaces."""
    assert ["日本  x", "ab    y", "abcd"] == side_by_side(
        ["日本", "ab", "abcd"], ["x", "y"], left_width=4
    )


def test_times_are_in_utc_to_the_second() -> None:
    """A time with any offset is told in UTC, with Z."""
    time = datetime(2026, 12, 1, 10, 30, 5, 999, timezone(timedelta(hours=2)))

    assert "2026-12-01T08:30:05Z" == rfc3339(time)
    assert "2026-12-01T00:00:00Z" == rfc3339(datetime(2026, 12, 1, tzinfo=UTC))
