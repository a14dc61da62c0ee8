import pytest

from holdfast.errors import PolicyError
from holdfast.formats.hpkp import FORMAT
from tests.formats.test_round_trip import ONE, TWO

PINS = "; ".join(f'pin-sha256="{str(pin).removeprefix("sha256/")}"' for pin in (ONE, TWO))


def test_headers_are_read() -> None:
    """In any case; report-only ones are; what a pin set does not say is a loss."""
    text = (
        "HTTP/1.1 200 OK\r\n"
        f'public-key-pins: {PINS}; max-age=5184000; includeSubDomains; report-uri="https://r"\r\n'
        f"Public-Key-Pins-Report-Only: {PINS}; unknown\r\n"
    )
    reading = FORMAT.read(text.encode())

    assert [True, False] == [rule.enforced for rule in reading.rules]
    assert all((ONE, TWO) == rule.anywhere for rule in reading.rules)
    assert ["expiry", "depth-of-subdomains", "reports", "setting"] == [
        loss.kind.value for loss in reading.losses
    ]
    assert FORMAT.write is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no Public-Key-Pins"),
        ('Public-Key-Pins: pin-sha256="AA"', "pin"),
        ('Public-Key-Pins: pin-sha256="AA" max-age=1', "no directive"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """No pins are no policy."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(text.encode())


def test_a_host_that_asks_to_be_forgotten_has_no_rule() -> None:
    """RFC 7469 section 2.3.1."""
    assert () == FORMAT.read(f"Public-Key-Pins: {PINS}; max-age=0".encode()).rules
