import pytest

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.accept import denials_in, remembered

ONE, OTHER = Pin.of_spki(b"one"), Pin.of_spki(b"other")


def test_denials_hold_until_a_higher_epoch() -> None:
    """Those of an earlier epoch are gone: the new one says what still holds."""
    kept = (*remembered(1, [ONE]), *remembered(2, [OTHER]))

    assert [{ONE, OTHER}, {OTHER}, set()] == [denials_in(epoch, kept) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("entry", ["", "sha256/x", "1", "one sha256/x", "1 sha256/x"])
def test_a_damaged_denial_is_no_denial_less(entry: str) -> None:
    """What cannot be read must not count as nothing."""
    with pytest.raises(UpdateError, match="denial"):
        denials_in(1, [entry])
