import json

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.chromium import FORMAT
from holdfast.formats.decide import rules_for
from tests.formats.test_round_trip import ONE, TWO

TEXTS = [str(pin).removeprefix("sha256/") for pin in (ONE, TWO)]
SETS = [{"name": "good", "static_spki_hashes_sha256": TEXTS}]


def pin_list(*hosts: object, sets: object = SETS) -> bytes:
    """Return a list with these hosts."""
    return json.dumps({"pinsets": sets, "host_pins": hosts}).encode()


def entry(hostname: str, **more: object) -> dict[str, object]:
    """Return one host."""
    return {"hostname": hostname, "pinset_name": "good", **more}


def test_hosts_take_the_pins_of_their_set() -> None:
    """The most specific host counts."""
    hosts = [entry("a.test", include_subdomains=True), entry("b.a.test")]
    rules = FORMAT.read(pin_list(*hosts)).rules

    assert all((ONE, TWO) == rule.anywhere for rule in rules)
    for host, name in (("x.a.test", "a-test"), ("b.a.test", "b-a-test")):
        assert [name] == [rule.name for rule in rules_for(rules, FORMAT.semantics, host)]


def test_bad_keys_are_a_loss() -> None:
    """They are bad for some hosts there, and would be for all here."""
    sets = [{**SETS[0], "bad_static_spki_hashes_sha256": TEXTS}]

    kinds = {loss.kind.value for loss in FORMAT.read(pin_list(sets=sets)).losses}

    assert {"expiry", "denied-keys"} == kinds


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "no JSON"),
        (b"[]", "no object"),
        (pin_list(sets={}), "no list"),
        (pin_list({"hostname": "a.test", "pinset_name": "none"}), "no pin set none"),
        (pin_list(entry("A.test")), "matches no host"),
        (pin_list(sets=[{"name": "x", "static_spki_hashes_sha256": ["AA"]}]), "pin"),
    ],
)
def test_mistakes_are_told(data: bytes, message: str) -> None:
    """With their place."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(data)
