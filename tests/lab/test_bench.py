import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.bench import Bench
from holdfast.lab.judgment import Outcome
from holdfast.lab.relay import Relay
from holdfast.lab.stage import Stage

ATTACKS = {attack.id: attack for attack in attacks()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench whose folder is the test's."""
    with Relay() as relay:
        yield Bench(Stage.new(), relay, tmp_path)


def _device(bench: Bench, attack: Attack, folder: Path) -> None:
    context = ssl.create_default_context(cafile=folder / "anchors.pem")
    with urllib.request.urlopen(bench.url(attack), context=context, timeout=5) as response:
        response.read()


def test_a_device_without_pins(bench: Bench, tmp_path: Path) -> None:
    """It accepts the honest server, misses one attack and catches another, all on one port."""
    rogue, expired = ATTACKS["rogue_ca"], ATTACKS["expired_right_key"]

    def refuse() -> None:
        with pytest.raises(urllib.error.URLError):
            _device(bench, expired, tmp_path)

    assert bench.url(rogue) == bench.url(expired)
    assert bench.control(rogue, lambda: _device(bench, rogue, tmp_path)) is None
    assert bench.attack(rogue, lambda: _device(bench, rogue, tmp_path)).outcome is Outcome.MISSED
    assert bench.attack(expired, refuse).outcome is Outcome.CAUGHT


def test_nobody_came(bench: Bench) -> None:
    """Where no device connected, nothing was determined."""
    control = bench.control(ATTACKS["rogue_ca"], lambda: None)
    result = bench.attack(ATTACKS["rogue_ca"], lambda: None)

    assert control is not None
    assert [Outcome.NOT_APPLICABLE] * 2 == [control.outcome, result.outcome]
    assert result.detail == "nobody came"


def test_the_folder_has_what_a_device_needs(bench: Bench, tmp_path: Path) -> None:
    """Anchors, the policy of the attack, and a client's key for nobody else to read."""
    denied = ATTACKS["denied_key"]
    bench.attack(denied, lambda: None)

    assert 2 == (tmp_path / "anchors.pem").read_text().count("BEGIN CERTIFICATE")
    assert 1 == len(load_policy(tmp_path / "pins.toml").denied)
    assert 0o600 == stat.S_IMODE((tmp_path / "client.pem").stat().st_mode)


def test_urls(bench: Bench) -> None:
    """The URL has the attack's scheme and host."""
    assert bench.url(ATTACKS["smtp_starttls"]).startswith("smtp://localhost:")
    assert bench.url(ATTACKS["ip_literal"]).startswith("https://127.0.0.1:")


def test_an_attack_over_several_connections(bench: Bench, tmp_path: Path) -> None:
    """A device is sent on through the bench's own port, and what it sent before is no loot."""
    attack = ATTACKS["resumed_for_another_host_tls13"]

    assert bench.control(attack, lambda: _device(bench, attack, tmp_path)) is None
    result = bench.attack(attack, lambda: _device(bench, attack, tmp_path))
    assert result.outcome is Outcome.MISSED


def test_a_device_that_is_told_nonsense(bench: Bench, tmp_path: Path) -> None:
    """During an attack on what the device is told, its policy is that of the attack."""
    bench.attack(ATTACKS["empty_pin"], lambda: None)

    assert "leaf = []" in (tmp_path / "pins.toml").read_text()


@pytest.mark.parametrize(
    ("attack_id", "reason"),
    [
        ("through_http_proxy", "its proxy and its variables"),
        ("secrets_logged", "its proxy and its variables"),
        ("untrusted_root", "what the device trusts is not ours to change"),
    ],
)
def test_what_cannot_be_made_on_a_device(bench: Bench, attack_id: str, reason: str) -> None:
    """An attack that needs more than a server is named, with the reason."""
    attack = ATTACKS[attack_id]

    assert reason in (bench.why_not(attack) or "")


def test_the_spelling_is_for_the_attack(bench: Bench) -> None:
    """The control has the usual name, and the attack the odd one."""
    attack = ATTACKS["long_s_in_host"]

    assert bench.why_not(attack) is None
    assert "://localhost:" in bench.url(attack)
    assert "://localho\u017ft:" in bench.url(attack, attacked=True)
