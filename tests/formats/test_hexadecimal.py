from holdfast.errors import Problem
from holdfast.formats.hexadecimal import colons, pin_in
from holdfast.pins.pin import Pin, PinAlgorithm


def test_digests_with_and_without_colons() -> None:
    """In any case; what is none is told with its place."""
    problems: list[Problem] = []
    pin = Pin.of_spki(b"1")

    for text in (colons(pin), colons(pin).lower(), pin.digest.hex()):
        assert pin == pin_in(text, PinAlgorithm.SPKI, "line 1", problems)
    assert [] == problems
    assert pin_in("AA:BB", PinAlgorithm.SPKI, "line 2", problems) is None
    assert ["line 2"] == [problem.place for problem in problems]
