from holdfast.errors import Problem
from holdfast.formats.dictionaries import flag_in, host_of, pins_in, table_in, texts_in
from holdfast.pins.pin import Pin


def test_what_is_there_is_returned_and_what_is_missing_is_empty() -> None:
    """Without a problem."""
    problems: list[Problem] = []
    pin = Pin.of_spki(b"1")
    table = {"t": {"a": 1}, "l": ["x"], "f": False}

    assert ({"a": 1}, {}) == (table_in(table, "t", "", problems), table_in({}, "t", "", problems))
    assert (("x",), ()) == (texts_in(table, "l", "", problems), texts_in({}, "l", "", problems))
    assert not flag_in(table, "f", "", problems, default=True)
    assert (pin,) == pins_in((str(pin).removeprefix("sha256/"),) * 2, "", problems)
    assert "a.test" == host_of("a.test", "", problems)
    assert [] == problems


def test_mistakes_have_their_place() -> None:
    """And leave nothing behind."""
    problems: list[Problem] = []
    table = {"t": {1: 2}, "l": [1], "f": "yes"}

    assert {} == table_in(table, "t", "p", problems)
    assert () == texts_in(table, "l", "p", problems)
    assert flag_in(table, "f", "", problems, default=True)
    assert () == pins_in(("AA",), "p.l", problems)
    assert host_of("A.test", "p", problems) is host_of("a b", "p", problems) is None
    assert ["p.t", "p.l", "f", "p.l[0]", "p", "p"] == [problem.place for problem in problems]
