import pytest

from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.pins.pin import Pin


@pytest.mark.parametrize(
    ("kinds", "covered"),
    [
        (Kinds.APEX, {"h.test"}),
        (Kinds.ONE_BELOW, {"a.h.test"}),
        (Kinds.ONE_LABEL_DOWN, {"h.test", "a.h.test"}),
        (Kinds.ANY_DEPTH, {"h.test", "a.h.test", "b.a.h.test"}),
    ],
)
def test_what_an_entry_covers(kinds: Kinds, covered: set[str]) -> None:
    """Itself, one label, any depth; never what only ends alike."""
    hosts = ["h.test", "a.h.test", "b.a.h.test", "xh.test", "test", "h.test.evil"]

    assert covered == {host for host in hosts if PlatformHost("h.test", kinds).covers(host)}
    assert not PlatformHost("192.0.2.1", Kinds.ANY_DEPTH).covers("a.192.0.2.1")


def test_all_pins_of_a_rule() -> None:
    """Wherever they match."""
    one, two, three = (Pin.of_spki(name) for name in (b"1", b"2", b"3"))

    assert (one, two, three) == Rule(
        name="r", hosts=(), anywhere=(one,), leaf=(two,), ca=(three,)
    ).pins
