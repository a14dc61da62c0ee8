import pytest

from holdfast.errors import Mistake, Problem
from holdfast.formats.dictionaries import flag_in, host_of, key_pin, pins_in, table_in, texts_in
from holdfast.formats.loss import Loss, LossKind
from holdfast.pins.pin import Pin


def test_what_is_there_is_returned_and_what_is_missing_is_empty() -> None:
    """Without a problem."""
    problems: list[Problem] = []
    pin = Pin.of_spki(b"1")
    table = {"t": {"a": 1}, "l": ["x"], "f": False}

    assert ({"a": 1}, {}) == (table_in(table, "t", "", problems), table_in({}, "t", "", problems))
    assert (("x",), ()) == (texts_in(table, "l", "", problems), texts_in({}, "l", "", problems))
    assert not flag_in(table, "f", "", problems, default=True)
    assert (pin,) == pins_in((str(pin).removeprefix("sha256/"),), "", problems, [])
    assert "a.test" == host_of("a.test", "", problems)
    assert [] == problems


def test_mistakes_have_their_place() -> None:
    """And leave nothing behind."""
    problems: list[Problem] = []
    table = {"t": {1: 2}, "l": [1], "f": "yes"}

    assert {} == table_in(table, "t", "p", problems)
    assert () == texts_in(table, "l", "p", problems)
    assert flag_in(table, "f", "", problems, default=True)
    assert () == pins_in(("AA",), "p.l", problems, [])
    assert host_of("A.test", "p", problems) is host_of("a b", "p", problems) is None
    assert ["p.t", "p.l", "f", "p.l[0]", "p", "p"] == [problem.place for problem in problems]


def test_a_pin_that_stands_twice_counts_once_and_is_told() -> None:
    """With both places."""
    losses: list[Loss] = []
    pin = Pin.of_spki(b"1")
    text = str(pin).removeprefix("sha256/")

    assert (pin,) == pins_in((text, text), "p", [], losses)
    assert [(LossKind.DUPLICATE, "p[1]", f"{pin} stands at p[0] already and counts once")] == [
        (loss.kind, loss.place, loss.consequence) for loss in losses
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", Mistake.EMPTY_INPUT),
        ("A" * 43 + "=", Mistake.ALL_ZERO),
        ("QUJD", Mistake.LENGTH),
        ("", Mistake.LENGTH),
        ("/" + "B" * 42 + "A=", Mistake.ENCODING),
        ("00ff" * 16, Mistake.ENCODING),
        (":".join(["0f"] * 32), Mistake.ENCODING),
        ("B" * 42 + "A", Mistake.ENCODING),
        ("_" + "B" * 41 + "A=", Mistake.ENCODING),
    ],
)
def test_mistakes_in_a_digest_are_told_apart(text: str, mistake: Mistake) -> None:
    """So that lint has a rule for each."""
    problems: list[Problem] = []

    assert key_pin(text, "p", problems) is None
    assert [("p", mistake)] == [(problem.place, problem.mistake) for problem in problems]
