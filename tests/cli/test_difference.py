import difflib

from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.difference import difference

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=30)


def applied(before: list[str], told: list[str]) -> list[str]:
    """Return what a unified diff makes of some lines."""
    after: list[str] = []
    place = 0
    for line in told[2:]:
        if line.startswith("@@"):
            start, _, length = line.split()[1].removeprefix("-").partition(",")
            begin = int(start) - (length != "0")
            after += before[place:begin]
            place = begin
            continue
        if line[0] in " -":
            assert line[1:] == before[place]
            place += 1
        if line[0] in " +":
            after.append(line[1:])
    return after + before[place:]


@given(LINES, LINES)
def test_a_difference_leads_from_one_text_to_the_other(before: list[str], after: list[str]) -> None:
    """Whatever lines stand once, twice or elsewhere."""
    told = list(difference(before, after, "before", "after"))

    assert after == applied(before, told)
    assert (before == after) is (not told)


def test_it_looks_like_a_unified_diff() -> None:
    """As `difflib` writes one."""
    before = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    after = ["one", "2", *before[2:9], "10", "11"]

    expected = list(difflib.unified_diff(before, after, "a", "b", lineterm=""))

    assert expected == list(difference(before, after, "a", "b"))
    assert list(difflib.unified_diff([], after, "a", "b", lineterm="")) == list(
        difference([], after, "a", "b")
    )


class _Counted(str):
    """A line that counts how often lines are compared."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)


def test_the_work_grows_with_the_length() -> None:
    """Ten thousand exchanged pins, of which `difflib` alone makes minutes."""
    before, after = (
        [
            _Counted(line)
            for number in range(10_000)
            for line in ("<pins>", f"<host>{number}</host>", f"<pin>{kind} {number}</pin>", "</>")
        ]
        for kind in ("old", "new")
    )

    told = list(difference(before, after, "before", "after"))

    assert 20_000 == sum(line[:5] in ("-<pin", "+<pin") for line in told)
    assert _Counted.compared < 20 * len(before)
