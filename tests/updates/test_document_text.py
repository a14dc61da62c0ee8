from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PolicyError, Problem
from holdfast.updates.document_text import (
    MAX_DEPTH,
    MAX_KEYS,
    MAX_NAMES,
    MAX_PINS,
    MAX_PROBLEMS,
    MAX_TOKENS,
    decoded,
    policy_size_problems,
    refusal,
    size_problems,
)

LIMIT = 2 * MAX_TOKENS
VALUES = st.recursive(
    st.none() | st.text('a"\\[]{},\x00é', max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('"\\[}', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def depth_of(value: object) -> int:
    """Count the levels of a decoded value, one at a time."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def messages(data: bytes, limit: int = LIMIT) -> list[str]:
    """Return what is wrong with the size of a document."""
    return [problem.message for problem in size_problems(data, limit)]


@given(VALUES, st.booleans(), st.integers(0, 12))
def test_depth_is_that_of_the_decoded_value(value: object, is_ascii: bool, more: int) -> None:
    """Brackets and quotes within texts do not count, those of lists and objects do."""
    for _ in range(more):
        value = [value]
    data = json.dumps(value, ensure_ascii=is_ascii).encode()

    assert (depth_of(value) > MAX_DEPTH) == bool(size_problems(data, LIMIT))


@pytest.mark.parametrize(
    "data", [b"[" * 1_000_000, b"]" * 1_000_000, b"[}" * 9, b'{"a' + b"[" * 20, b'"\\"' * 99]
)
def test_what_is_no_json_does_no_harm(data: bytes) -> None:
    """Bytes of any kind are judged without an error."""
    assert len(size_problems(data, LIMIT)) <= 1


def test_bytes_are_counted_first() -> None:
    """At the limit a document is small enough, one byte more is too much."""
    assert [] == messages(b"[ ]", 3)
    assert ["it has 4 bytes, more than 3"] == messages(b"[  ]", 3)


def test_a_document_of_tiny_values_is_too_large() -> None:
    """Many empty lists in few bytes would take a hundred times their size as objects."""
    pairs = MAX_TOKENS // 2

    assert [] == messages(b"[" + b"[]," * (pairs - 1) + b"0]")
    assert [f"it has more than {MAX_TOKENS} quotes, commas and brackets"] == messages(
        b"[" + b"[]," * pairs + b"0]"
    )


@pytest.mark.parametrize("key", ["leaf", "backup", "ca"])
def test_pins_of_all_sets_are_counted(key: str) -> None:
    """The limit is for all sets, all their lists, and the denied keys together."""
    half = ["sha256/..."] * (MAX_PINS // 2)
    sets: dict[str, object] = {
        "a": {key: half},
        "b": {"leaf": half[1:]},
        "c": {"leaf": "x"},
        "d": 1,
    }
    policy: dict[str, object] = {"pin_set": sets, "holdfast": {"denied": ["sha256/..."]}}

    assert [] == policy_size_problems(policy)

    policy["holdfast"] = {"denied": ["sha256/...", "sha256/..."]}

    assert [f"it has {MAX_PINS + 1} pins, more than {MAX_PINS}"] == [
        problem.message for problem in policy_size_problems(policy)
    ]


@pytest.mark.parametrize("key", ["hosts", "endpoints", "clients", "anchors"])
def test_names_of_all_sets_are_counted(key: str) -> None:
    """Millions of hosts without pins would take as long as millions of pins."""
    sets = {"a": {key: ["x"] * (MAX_NAMES - 1)}, "b": {"hosts": ["x", "y"]}}

    assert [f"it has {MAX_NAMES + 1} names and anchors, more than {MAX_NAMES}"] == [
        problem.message for problem in policy_size_problems({"pin_set": sets})
    ]


@pytest.mark.parametrize("policy", [{}, {"pin_set": 1, "holdfast": None}, {"pin_set": {"a": []}}])
def test_a_malformed_policy_has_no_pins(policy: dict[str, object]) -> None:
    """What is no policy is left to its reader to refuse."""
    assert [] == policy_size_problems(policy)


@pytest.mark.parametrize(
    "policy",
    [
        dict.fromkeys(map(str, range(MAX_KEYS + 1))),
        {"holdfast": dict.fromkeys(map(str, range(MAX_KEYS + 1)))},
        {"pin_set": {"a": dict.fromkeys(map(str, range(MAX_KEYS + 1)))}},
    ],
)
def test_a_table_of_countless_keys_is_refused(policy: dict[str, object]) -> None:
    """No reader goes over a million unknown keys and guesses what each was meant to be."""
    assert [f"a table in it has more than {MAX_KEYS} keys"] == [
        problem.message for problem in policy_size_problems(policy)
    ]


def test_there_may_be_many_sets() -> None:
    """The limit is not for the table of all sets."""
    assert [] == policy_size_problems({"pin_set": {str(number): {} for number in range(1000)}})


def test_a_bounded_number_of_problems_is_told() -> None:
    """An error fits into a log, however many mistakes there are."""
    problems = [Problem(str(number), "it is wrong", "mend it") for number in range(MAX_PROBLEMS)]

    assert tuple(problems) == refusal(problems, "x").problems
    assert MAX_PROBLEMS + 1 == len(refusal(problems * 3, "x").problems)
    assert "there are 200 more problems" in str(refusal(problems * 3, "x"))


def test_a_document_of_countless_keys_is_refused() -> None:
    """The keys of the document itself are bounded too."""
    data = json.dumps({"format": 1} | dict.fromkeys(map(str, range(MAX_KEYS)))).encode()

    with pytest.raises(PolicyError, match=f"more than {MAX_KEYS} keys"):
        decoded(data, len(data), "x")
