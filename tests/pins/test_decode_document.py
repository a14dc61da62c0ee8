from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PolicyError
from holdfast.pins.decode_document import decode_document

VALUES = st.none() | st.booleans() | st.integers() | st.text()
LISTS = st.lists(VALUES, max_size=3)
TABLES = st.dictionaries(st.text(), VALUES | LISTS, max_size=3)
PLAIN = st.dictionaries(st.text(), VALUES | LISTS | TABLES, max_size=5)


def refused(text: str, kind: Literal["toml", "json"]) -> PolicyError:
    """Return the error that the text gives."""
    with pytest.raises(PolicyError) as caught:
        decode_document(text, kind, source="pins.file")
    assert caught.value.source == "pins.file"
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    return caught.value


@given(PLAIN)
def test_json_is_read_as_it_was_written(document: dict[str, object]) -> None:
    """Plain data that went through JSON text come back unchanged."""
    assert document == decode_document(json.dumps(document), "json")


def test_toml_is_read() -> None:
    """Tables and lists of TOML become dicts and lists."""
    text = '[pin_set.a]\nhosts = ["a.example"]\nstrict = true'

    assert {"pin_set": {"a": {"hosts": ["a.example"], "strict": True}}} == decode_document(
        text, "toml"
    )


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"a": 1, "a": 1}', ["a"]),
        ('{"a": {"leaf": [], "leaf": []}}', ["a.leaf"]),
        ('{"a": [{"b": 1}, {"b": 1, "b": 2}]}', ["a[1].b"]),
        ('{"a": 1, "b": {"c": 1, "c": 1}, "a": 2}', ["b.c", "a"]),
        ('{"a": 1, "\\u0061": 1}', ["a"]),
        ('{"x\\n": 1, "x\\n": 1}', ["'x\\n'"]),
        ('{"a": {"b": 1, "b": 1}, "a": {}}', ["a.b", "a"]),
    ],
)
def test_a_key_that_stands_twice_is_refused_in_json(text: str, places: list[str]) -> None:
    """Every repeated key is told with its place: readers disagree on which of them counts."""
    assert places == [problem.place for problem in refused(text, "json").problems]


@pytest.mark.parametrize(
    "text", ["a = 1\na = 2\n", "[a]\n[a]\n", "a.b = 1\na.b = 2\n", "{a = 1}\n"]
)
def test_toml_names_the_line(text: str) -> None:
    """A repeated key and a syntax error in TOML are told with the line."""
    assert "line " in str(refused(text, "toml"))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", '{"a": 1,}', '{"a": 1} x', "{'a': 1}", '{"a": 01}', '{"a": "\n"}', '"\ud800',
        '{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": ' + "9" * 5000 + "}",
        "// comment\n{}", "\ufeff{}",
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_what_is_not_json_is_refused(text: str) -> None:
    """Neither the extensions that `json.loads` reads nor broken text become a policy."""
    assert "this is not JSON" in str(refused(text, "json"))


@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"', "[{}]"])
def test_a_json_document_is_an_object(text: str) -> None:
    """Anything else at the top is told as such."""
    assert "not an object" in str(refused(text, "json"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a":' * 100_000, "json"),
        ("[" * 100_000, "json"),
        ("a = " + "[" * 100_000, "toml"),
        ("a = " + "{a = " * 100_000, "toml"),
    ],
    ids=["objects", "lists", "toml lists", "toml tables"],
)
def test_deep_nesting_is_an_error_like_any_other(text: str, kind: Literal["toml", "json"]) -> None:
    """A document that exhausts the parser's stack is refused, not a crash."""
    assert "nested too deeply" in str(refused(text, kind))


def test_repeated_keys_below_deep_nesting_are_refused() -> None:
    """What the parser can just read, but the search for places cannot, is refused as well."""
    depth = 900
    text = '{"a":' * depth + '{"b": 1, "b": 1}' + "}" * depth

    assert refused(text, "json").problems
