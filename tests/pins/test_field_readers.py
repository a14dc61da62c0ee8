from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PinFormatError, Problem
from holdfast.pins.field_readers import (
    Reader,
    choice,
    flag,
    line,
    list_of,
    moment,
    suggestion,
    table_at,
    wrong_type,
)
from holdfast.pins.pin_set import Mode

NAIVE = datetime(2027, 1, 1)  # noqa: DTZ001
OTHER_THINGS: list[object] = [
    None, True, 1, 1.5, "text", [], {}, date(2027, 1, 1), time(1), NAIVE
]  # fmt: skip


def read_number(text: str) -> int:
    """Stand for the parser of a list's entries."""
    if not text.isdigit():
        raise PinFormatError("this is no number", hint="write digits")
    return int(text)


numbers = list_of(read_number, 0, 'write ["1"]')


def refused(reader: Reader[object], value: object) -> list[Problem]:
    """Return the problems of a value that means nothing."""
    problems: list[Problem] = []
    assert reader(value, "key", problems) is None
    assert problems
    assert all(problem.place == "key" and problem.message and problem.fix for problem in problems)
    return problems


@pytest.mark.parametrize(
    ("reader", "good"),
    [(choice(Mode), {"text"}), (flag, {True}), (line, {"text"}), (moment, set()), (numbers, set())],
)
def test_a_value_of_another_type_is_never_taken(reader: Reader[object], good: set[object]) -> None:
    """Every reader refuses what its key does not take: 1 is not `true`, null is not absent."""
    for value in OTHER_THINGS:
        if not any(value is one for one in good):
            problems: list[Problem] = []
            result = reader(value, "key", problems)
            assert (result is None) or not problems
            assert problems or reader is line, value


def test_types_are_named_in_the_words_of_the_file() -> None:
    """A message says "a list, not text", not which Python classes those are."""
    texts = [str(wrong_type(value, "key", "a pin", "mend it")) for value in OTHER_THINGS]

    assert [
        f"key: this takes a pin, not {kind}; mend it"
        for kind in ("null", "true or false", "a number", "a number", "text", "a list", "a table",
                     "a date", "a time of day", "a time")
    ] == texts  # fmt: skip
    assert "something else" in str(wrong_type(object(), "key", "a pin", "mend it"))


def test_an_enumeration_takes_its_own_words() -> None:
    """A known word gives the member; a near miss names the word that was meant."""
    problems: list[Problem] = []

    assert Mode.REPORT_ONLY is choice(Mode)("report-only", "key", problems)
    assert [] == problems
    assert 'did you mean "report-only"?' == refused(choice(Mode), "report_only")[0].fix
    assert 'did you mean "enforce"?' == refused(choice(Mode), "Enforce")[0].fix
    assert 'write "enforce" or "report-only"' == refused(choice(Mode), "block")[0].fix


def test_flags_and_lines_are_taken_as_they_are() -> None:
    """True, false and printable text mean themselves."""
    problems: list[Problem] = []

    assert flag(False, "key", problems) is False
    assert "Zoë <z@example.com>" == line("Zoë <z@example.com>", "key", problems)
    assert [] == problems


@pytest.mark.parametrize("text", ["", " ", "a\nb", "\x1b[31m", "\u202eowner", "\ud800", "a\0"])
def test_text_for_people_is_one_printable_line(text: str) -> None:
    """Nothing that could be mistaken for other output gets into a policy."""
    assert refused(line, text)


@given(
    st.datetimes().filter(lambda value: 1 < value.year < 9999),  # else UTC may have no such year
    st.integers(min_value=-1439, max_value=1439),
)
def test_times_as_text_mean_what_they_say(value: datetime, minutes: int) -> None:
    """A time written as in RFC 3339 is read as that moment, like the TOML time itself."""
    problems: list[Problem] = []
    fixed = value.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    assert fixed == moment(fixed.isoformat(), "key", problems)
    assert fixed == moment(fixed, "key", problems)
    assert [] == problems


@pytest.mark.parametrize(
    "text",
    [
        "2027-06-30T00:00:00Z", "2027-06-30t00:00:00z", "2027-06-30T00:00:00.000Z",
        "2027-06-30T00:00:00+00:00", "2027-06-30T00:00:00-00:00", "2027-06-30T02:00:00+02:00",
        "2027-06-29T14:00:00-10:00",
    ],
)  # fmt: skip
def test_the_forms_of_rfc_3339_are_read(text: str) -> None:
    """Case, fractions and offsets as in RFC 3339 section 5.6."""
    assert datetime(2027, 6, 30, tzinfo=UTC) == moment(text, "key", [])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2027-06-30T00:00:00", "no offset"),
        (datetime(2027, 6, 30), "no offset"),  # noqa: DTZ001
        ("2027-06-30T00:00:00.5", "no offset"),
        (date(2027, 6, 30), "a date alone"),
        ("2027-06-30", "is not a time"),
        ("20270630T000000Z", "is not a time"),
        ("2027-W26-3T00:00:00Z", "is not a time"),
        ("2027-06-30 00:00:00Z", "is not a time"),
        ("2027-06-30T00:00Z", "is not a time"),
        ("2027-06-30T24:00:00Z", "is not a time"),
        ("2027-06-30T23:59:60Z", "is not a time"),
        ("2027-02-30T00:00:00Z", "is not a time"),
        ("2027-06-30T00:00:00.Z", "is not a time"),
        ("2027-06-30T00:00:00,5Z", "is not a time"),
        ("2027-06-30T00:00:00+0200", "is not a time"),
        ("2027-06-30T00:00:00+25:00", "is not a time"),
        ("2027-06-30T00:00:00+00:60", "is not a time"),
        ("2027-06-30T00:00:00+02:00:30", "is not a time"),
        ("2027-06-30T00:00:00Zulu", "is not a time"),
        ("0000-06-30T00:00:00Z", "is not a time"),
        ("\N{FULLWIDTH DIGIT TWO}027-06-30T00:00:00Z", "is not a time"),
        ("", "is not a time"),
        ("never", "is not a time"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), "out of range"),
        (1814313600, "not a number"),
        (time(1), "not a time of day"),
    ],
)
def test_other_times_are_refused(value: object, message: str) -> None:
    """A local time, a bare date and the rest of ISO 8601 are no moments."""
    assert message in refused(moment, value)[0].message


def test_a_list_keeps_its_length() -> None:
    """Bad entries are told one by one, and a stand-in keeps the others in their places."""
    problems: list[Problem] = []

    assert (1, 0, 3, 0) == numbers(["1", "x", "3", 4], "key", problems)
    assert [
        "key[1]: this is no number; write digits",
        'key[3]: this takes text, not a number; write ["1"]',
    ] == [str(problem) for problem in problems]


def test_an_empty_list_is_a_mistake() -> None:
    """A list without entries is not the same as no key."""
    assert "the list is empty" == refused(numbers, [])[0].message


def test_a_table_is_a_mapping() -> None:
    """A table is handed on, anything else is told with the header to write."""
    problems: list[Problem] = []

    assert {"a": 1} == table_at({"a": 1}, "pin_set", problems)
    assert [] == problems
    assert table_at([], "pin_set", problems) is None
    assert "write [pin_set]" in problems[0].fix


@pytest.mark.parametrize(
    ("word", "guess"),
    [("mod", "mode"), ("Mode", "mode"), ("on-expiry", "on_expiry"), ("zebra", None),
     ("m" * 41, None)],
)  # fmt: skip
def test_a_near_miss_is_recognized(word: str, guess: str | None) -> None:
    """A word close to a known one suggests it; one that is far off or endless does not."""
    assert guess == suggestion(word, ["mode", "on_expiry"])
