import tomllib
from pathlib import Path

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.lab.authorities import self_signed
from holdfast.lab.stage import LOOPBACK, Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage of which nothing is changed."""
    return Stage.new()


def test_policy_pins_both_keys(stage: Stage, tmp_path: Path) -> None:
    """The text is a policy that pins the server's key and the backup, and denies what is given."""
    file = tmp_path / "pins.toml"
    file.write_text(stage.policy_toml(denied=(stage.rogue.spki_pin,)))
    policy = load_policy(file)
    (pin_set,) = policy.pin_sets

    assert [stage.pin] == [str(pin) for pin in pin_set.leaf]
    assert [stage.backup_pin] == [str(pin) for pin in pin_set.backup]
    assert [stage.rogue.spki_pin] == [str(pin) for pin in policy.denied]
    assert ["localhost", "127.0.0.1"] == [str(pattern) for pattern in pin_set.hosts]


def test_policy_of_other_shapes(stage: Stage, tmp_path: Path) -> None:
    """A CA can be pinned, other keys too, and another host can have pins of its own."""
    file = tmp_path / "pins.toml"
    cas = (stage.rogue.spki_pin, stage.issuing.spki_pin)
    file.write_text(stage.policy_toml(pinned_ca=stage.honest.spki_pin, others={LOOPBACK: cas}))
    own, other = load_policy(file).pin_sets
    pins = tomllib.loads(stage.policy_toml(pins=(stage.rogue.spki_pin,)))

    assert [["localhost"], [LOOPBACK]] == [
        [str(host) for host in one.hosts] for one in (own, other)
    ]
    assert stage.honest.spki_pin == str(own.ca[0])
    assert cas == tuple(map(str, other.ca))
    assert [stage.rogue.spki_pin] == pins["pin_set"]["lab"]["leaf"]


def test_stage_for_another_host() -> None:
    """The honest server is certified for the host that was asked for."""
    stage = Stage.new("api.example.com")

    assert stage.host in stage.policy_toml()
    assert b"api.example.com" in stage.server.der


def test_stage_around_a_real_server(stage: Stage) -> None:
    """What a real server presents is what attacks show, its pins are right, and no key fits."""
    around = Stage.around("localhost", stage.server.chain)

    assert stage.server.chain == around.server.chain
    assert (stage.pin, stage.issuing.spki_pin) == (around.pin, around.issuing.spki_pin)
    assert stage.server.key.public_key() != around.server.key.public_key()
    assert around.issuing.key.public_key() != around.issuing.certificate.public_key()


def test_stage_around_a_lone_certificate() -> None:
    """A server that presents one certificate has no issuer to show: a stand-in takes its place."""
    device = self_signed("device")
    around = Stage.around("device", device.chain)

    assert device.certificate == around.server.certificate
    assert device.certificate.public_key() != around.issuing.certificate.public_key()
