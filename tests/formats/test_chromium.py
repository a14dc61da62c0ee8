import json
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.chromium import FORMAT
from holdfast.formats.decide import decide, rules_for
from holdfast.formats.lint_platform import Circumstances, platform_findings
from holdfast.formats.to_policy import policy_of
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin_set import OnExpiry
from tests.formats.test_from_policy import LEAVES
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


@pytest.mark.parametrize("seconds", [1_700_000_000, "1700000000"])
@pytest.mark.parametrize("is_message", [True, False])
def test_an_old_list_pins_nothing(seconds: object, *, is_message: bool) -> None:
    """Seventy days after its timestamp, to the second; the policy that is imported says so too."""
    timestamp = {"seconds": seconds} if is_message else seconds
    document = json.loads(pin_list(entry("a.test"), entry("b.test")))
    reading = FORMAT.read(json.dumps({**document, "timestamp": timestamp}).encode())
    ends = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) + timedelta(days=70)
    chain = VerifiedChain((LEAVES[0],))

    for now, allowed in ((ends - timedelta(seconds=1), False), (ends, True)):
        verdict = decide(reading.rules, FORMAT.semantics, "a.test", chain, now)
        assert allowed is verdict.allowed
        known = Circumstances(now=now, public_suffix=lambda _: False, public_roots={})
        told = [one.rule for one in platform_findings(reading, FORMAT.semantics, known)]
        expected = ["HF120"] if allowed else ["HF122", "HF123"]
        assert expected == [rule for rule in told if rule.startswith("HF12")]
    imported = policy_of(reading.rules, FORMAT.semantics).policy
    assert () == reading.losses
    assert {(ends, OnExpiry.ALLOW)} == {(one.expires, one.on_expiry) for one in imported.pin_sets}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "no JSON"),
        (b"[]", "no object"),
        (b'{"timestamp": {"seconds": "soon"}}', "no time"),
        (b'{"timestamp": -1}', "no time"),
        (b'{"timestamp": 9999999999999}', "no time"),
        (b'{"timestamp": "99999999999999999999999"}', "no time"),
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
