import pytest

from holdfast.errors import PolicyError
from holdfast.formats.ghostunnel import FORMAT
from holdfast.formats.to_policy import policy_of
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin_set import Trust
from tests.formats.test_round_trip import ONE, TWO

PINS = [f"sha256:{str(pin).removeprefix('sha256/')}" for pin in (ONE, TWO)]


def test_options_of_both_sides_are_read() -> None:
    """With a space or an equals sign; the pins are all there is to check."""
    text = f"ghostunnel client --verify-spki-pin {PINS[0]} --allow-spki-pin={PINS[1]}"

    rules = FORMAT.read(text.encode()).rules
    policy = policy_of(rules, FORMAT.semantics, hosts=(HostPattern.parse("a.test"),)).policy

    assert (ONE, TWO) == rules[0].leaf
    assert (Trust.PINS_ONLY, False, False) == (
        policy.pin_sets[0].trust,
        policy.pin_sets[0].check_name,
        policy.pin_sets[0].check_validity,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ghostunnel client", "no pins"),
        ("--verify-spki-pin sha512:AAAA", "SHA-256"),
        ("--verify-spki-pin", "SHA-256"),
        ("--verify-spki-pin sha256:AAAA", "pin"),
        ("--verify-spki-pin 'x", "command line"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """An unknown algorithm is no "no pin"."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(text.encode())
