import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin

Run = Callable[..., subprocess.CompletedProcess[str]]

ONE, TWO = (Pin.of_spki(key) for key in (b"one", b"two"))


def config(*pins: Pin) -> str:
    """Return a file of Android's with these pins."""
    entries = "".join(
        f'<pin digest="SHA-256">{str(pin).removeprefix("sha256/")}</pin>' for pin in pins
    )
    return (
        "<network-security-config><domain-config>"
        f'<domain includeSubdomains="true">api.test</domain><pin-set>{entries}</pin-set>'
        "</domain-config></network-security-config>"
    )


def test_a_policy_is_made_that_loads(run: Run, folder: Path) -> None:
    """The format is guessed; what the policy does not say is told."""
    (folder / "nsc.xml").write_text(config(ONE, TWO))

    done = run("import", "nsc.xml", "-o", "pins.toml", "--unlisted", "refuse")

    assert 0 == done.returncode
    assert "lost: refuses: pin_set.api-test" in done.stderr
    policy = load_policy(folder / "pins.toml")
    assert ((ONE,), (TWO,)) == (policy.pin_sets[0].leaf, policy.pin_sets[0].backup)
    assert ["**.api.test"] == [str(pattern) for pattern in policy.pin_sets[0].hosts]


def test_a_chain_tells_which_pins_are_those_of_cas(run: Run, folder: Path) -> None:
    """Without one they would be taken for leaves'."""
    issuer = Authority.new("root").intermediate("issuer")
    server = issuer.issue("api.test")
    (folder / "chain.pem").write_text(server.chain_pem)
    (folder / "nsc.xml").write_text(config(Pin.parse(issuer.spki_pin), ONE))

    done = run("import", "nsc.xml", "--from", "android", "--chain", "chain.pem", "--json")

    told = json.loads(done.stdout)
    assert f'ca = ["{issuer.spki_pin}"]' in told["policy"]
    assert "android" == told["format"]


def test_strict_fails_on_a_loss_that_matters(run: Run, folder: Path) -> None:
    """And writes nothing."""
    (folder / "nsc.xml").write_text(config(ONE, TWO))

    assert 1 == run("import", "nsc.xml", "-o", "new.toml", "--strict").returncode
    assert not (folder / "new.toml").exists()
    assert "[pin_set.api-test]" in run("import", "nsc.xml").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("none.xml",), "cannot be read"),
        (("notes.txt",), "--from"),
        (("notes.txt", "--from", "android"), "notes.txt: this is not XML"),
        (("nsc.xml", "-o", "notes.txt"), "exists"),
        (("nsc.xml", "--host", "a.test"), "names its hosts itself"),
        (("nsc.xml", "--chain", "notes.txt"), "notes.txt"),
    ],
)
def test_mistakes_are_told(run: Run, folder: Path, words: tuple[str, ...], told: str) -> None:
    """Each is bad input."""
    (folder / "nsc.xml").write_text(config(ONE, TWO))
    (folder / "notes.txt").write_text("hello")

    done = run("import", *words)

    assert 2 == done.returncode
    assert told in done.stderr
