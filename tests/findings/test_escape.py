"""Text from certificates and hosts is shown, not obeyed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.findings.escape import escaped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CN=api.example.com", "CN=api.example.com"),
        ("CN=Übung 日本", "CN=Übung 日本"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("one\r\ntwo\ttabs", r"one\x0d\x0atwo\x09tabs"),
        ("\u202egro.elpmaxe", r"\u202egro.elpmaxe"),
        ("a\u2066b\u200fc\u061cd", r"a\u2066b\u200fc\u061cd"),
        ("line\u2028paragraph\u2029next\x85", r"line\u2028paragraph\u2029next\x85"),
        ("soft\xadhyphen zero\u200bwidth bom\ufeff", r"soft\xadhyphen zero\u200bwidth bom\ufeff"),
        ("private\ue000 surrogate\ud800", r"private\ue000 surrogate\ud800"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("no-break\xa0space", r"no-break\xa0space"),
    ],
)
def test_invisible_characters_are_written_out(text: str, expected: str) -> None:
    """What one cannot see stands there as an escape; what one can see is left alone."""
    assert expected == escaped(text, 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcde..."), ("ab\x1b\x1b", r"ab..."), ("", "")],
)
def test_long_text_is_cut_between_characters(text: str, expected: str) -> None:
    """Text of exactly the limit is whole; longer text ends in dots, never within an escape."""
    assert expected == escaped(text, 8)


@given(st.text(st.characters()), st.integers(3, 60))
def test_result_is_visible_and_bounded(text: str, limit: int) -> None:
    """Whatever comes in, what comes out is visible and not longer than allowed."""
    shown = escaped(text, limit)

    assert len(shown) <= limit
    assert set() == {
        character
        for character in shown
        if character != " " and unicodedata.category(character)[0] in "CZ"
    }
