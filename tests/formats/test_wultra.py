import json
from base64 import b64encode
from dataclasses import replace

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.from_policy import rules_of
from holdfast.formats.wultra import FORMAT
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.formats.test_round_trip import PAY, POLICY, write

WHOLE, NEXT = (Pin(PinAlgorithm.CERTIFICATE, bytes([n]) * 32) for n in (1, 2))
OWN = replace(POLICY, pin_sets=(replace(PAY, hosts=PAY.hosts[:1], leaf=(WHOLE,), backup=(NEXT,)),))


def test_certificates_are_written_and_read() -> None:
    """The end of an entry that is there stays."""
    text = write(FORMAT, OWN)
    value = json.loads(text)
    value["fingerprints"][0]["expires"] = 1800000000

    again = json.loads(write(FORMAT, OWN, json.dumps(value).encode()))

    assert (WHOLE, NEXT) == FORMAT.read(text).rules[0].leaf
    assert 1800000000 == again["fingerprints"][0]["expires"]


def test_keys_cannot_be_said() -> None:
    """The set is left out, and a loss says so."""
    translated = rules_of(replace(POLICY, pin_sets=(PAY,)), FORMAT.semantics)

    assert () == translated.rules
    assert "number-of-pins" in {loss.kind.value for loss in translated.losses}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no list"),
        ('{"fingerprints": [1]}', "no list"),
        ('{"fingerprints": [{"name": "a.test", "fingerprint": "!"}]}', "fingerprint"),
        ('{"fingerprints": [{"name": "*.a.test", "fingerprint": "AA=="}]}', "name"),
    ],
)
def test_mistakes_are_told(value: str, message: str) -> None:
    """With their place."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(value.encode())


def test_who_signed_is_not_known() -> None:
    """A loss says so, and that entries end."""
    entry = {"name": "a.test", "fingerprint": b64encode(WHOLE.digest).decode(), "expires": 1}
    losses = FORMAT.read(json.dumps({"fingerprints": [entry]}).encode()).losses

    assert ["setting", "expiry"] == [loss.kind.value for loss in losses]


@pytest.mark.parametrize("seconds", ["soon", -1, True, 10**15, 1.5])
def test_ends_are_times(seconds: object) -> None:
    """In whole seconds, and of years that there are."""
    entry = {
        "name": "a.test",
        "fingerprint": b64encode(WHOLE.digest).decode(),
        "expires": seconds,
    }

    with pytest.raises(PolicyError, match=r"expires: this is no time"):
        FORMAT.read(json.dumps({"fingerprints": [entry]}).encode())
