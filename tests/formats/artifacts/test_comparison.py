from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.formats.artifacts.archive import Entry
from holdfast.formats.artifacts.comparison import artifact_findings, live_findings
from holdfast.formats.artifacts.found import Found, found_in
from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from tests.formats.artifacts.test_android_binary import binary
from tests.formats.test_round_trip import FOUR, PAY, POLICY, TWO

SHIPPED = replace(POLICY, pin_sets=POLICY.pin_sets[:2])


@pytest.fixture
def package() -> list[Found]:
    """What is in the package of the tests."""
    return list(found_in(Entry("res/xml/nsc.xml", binary())))


def rules_found(policy: Policy, found: list[Found]) -> list[str]:
    """Return the ids of what is found."""
    return sorted({one.rule for one in artifact_findings(policy, found)})


def test_a_package_that_pins_what_the_policy_says(package: list[Found]) -> None:
    """Nothing is found."""
    assert [] == list(artifact_findings(SHIPPED, package))


def test_other_pins_missing_hosts_and_strangers(package: list[Found]) -> None:
    """Each with the host that it is about."""
    changed = replace(PAY, leaf=(FOUR,))
    only = replace(PAY, name="new", hosts=(HostPattern.parse("new.example.com"),))

    other = list(
        artifact_findings(replace(POLICY, pin_sets=(changed, SHIPPED.pin_sets[1])), package)
    )
    missing = rules_found(replace(POLICY, pin_sets=(*SHIPPED.pin_sets, only)), package)
    more = rules_found(replace(POLICY, pin_sets=SHIPPED.pin_sets[:1]), package)

    assert {"HF702"} == {one.rule for one in other}
    assert "res/xml/nsc.xml: api.example.com" in {one.place for one in other}
    assert f"it lacks {FOUR}" in other[0].reason
    assert ["HF703"] == missing
    assert ["HF704"] == more


def test_texts_and_nothing_at_all() -> None:
    """A pin that no set has is a warning; none at all an error."""
    stray = Found(name="classes.dex", pins=frozenset({TWO, Pin.of_spki(b"stray")}))

    assert ["HF705"] == rules_found(SHIPPED, [stray])
    assert ["HF701"] == rules_found(SHIPPED, [])
    assert ["HF701", "HF706"] == rules_found(SHIPPED, [Found(name="x", problem="encrypted")])


def test_a_configuration_with_a_mistake() -> None:
    """It is told with its place."""
    config = b"<domain-config><domain>a b</domain></domain-config>"
    text = b"<network-security-config>" + config + b"</network-security-config>"
    found = found_in(Entry("res/xml/nsc.xml", text))
    broken = found_in(Entry("res/xml/nsc.xml", b"<network-security-config"))

    assert "HF707" in rules_found(SHIPPED, list(found))
    assert "HF707" in rules_found(SHIPPED, list(broken))


def test_a_server_that_clients_would_refuse(package: list[Found]) -> None:
    """By the platform's own rules."""
    now = datetime(2027, 1, 1, tzinfo=UTC)
    stranger = VerifiedChain((ChainCertificate(b"x", b"\x01" * 32, b"\x02" * 32),))
    right = VerifiedChain((ChainCertificate(b"x", TWO.digest, b"\x02" * 32),))
    texts = Found(name="classes.dex", pins=frozenset({TWO}))

    refused = list(live_findings([*package, texts], "api.example.com", stranger, now))

    assert ["HF708"] == [one.rule for one in refused]
    assert [] == list(live_findings(package, "api.example.com", right, now))
    assert [] == list(live_findings(package, "other.example.com", stranger, now))


def test_a_configuration_that_is_not_in_force(package: list[Found]) -> None:
    """It pins nothing: an error where the manifest names none, a warning beside another."""
    now = datetime(2027, 1, 1, tzinfo=UTC)
    stranger = VerifiedChain((ChainCertificate(b"x", b"\x01" * 32, b"\x02" * 32),))
    (one,) = package
    unnamed, beside = replace(one, in_force=()), replace(one, in_force=("res/xml/a.xml",))

    told = list(artifact_findings(SHIPPED, [unnamed]))

    assert ["HF709", "HF701"] == [finding.rule for finding in told]
    assert '"@xml/nsc"' in told[0].action
    assert ["HF710"] == rules_found(SHIPPED, [one, beside])
    assert [] == rules_found(SHIPPED, [one, replace(beside, format=None, reading=None)])
    assert [] == list(live_findings([unnamed], "api.example.com", stranger, now))
