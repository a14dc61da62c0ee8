import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.spki import chain_certificate
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin, PinAlgorithm

Run = Callable[..., subprocess.CompletedProcess[str]]

POLICY = """\
[holdfast]
format = 1
unlisted = "allow"
denied = [{denied}]

[pin_set.api]
hosts = ["api.test"]
mode = "enforce"
leaf = ["{leaf}"]
backup = ["{backup}"]
"""


@pytest.fixture
def pin(folder: Path) -> str:
    """Write a root and a chain for api.test; return the pin of its leaf."""
    root = Authority.new("root")
    server = root.intermediate("issuer").issue("api.test")
    (folder / "root.pem").write_text(root.pem)
    (folder / "chain.pem").write_text(server.chain_pem)
    return server.spki_pin


@pytest.fixture
def evaluate(run: Run) -> Run:
    """Return a function that asks for Android's decision."""

    def evaluate(*words: object, host: str = "api.test") -> subprocess.CompletedProcess[str]:
        files = ("--chain", "chain.pem", "--anchors", "root.pem")
        return run("evaluate", "--host", host, *files, "--as", "android", *words)

    return evaluate


def write_policy(folder: Path, leaf: str, denied: str = "") -> None:
    """Write `pins.toml`."""
    backup = Pin.of_spki(b"backup")
    (folder / "pins.toml").write_text(POLICY.format(leaf=leaf, backup=backup, denied=denied))


def test_a_platform_decides_as_the_policy(evaluate: Run, folder: Path, pin: str) -> None:
    """Where it can say what the policy says."""
    write_policy(folder, pin)

    done = evaluate()

    assert 0 == done.returncode
    assert "Android connects to api.test: a pin matches" in done.stdout
    assert "Holdfast does too" in done.stdout


def test_a_difference_is_shown(evaluate: Run, folder: Path, pin: str) -> None:
    """Android knows no denied keys."""
    issuer = Pin(
        PinAlgorithm.SPKI, chain_certificate(load_chain(folder / "chain.pem")[1]).spki_sha256
    )
    write_policy(folder, pin, denied=f'"{issuer}"')

    done = evaluate()
    told = json.loads(evaluate("--json").stdout)

    assert 1 == done.returncode
    assert "Holdfast DIFFERS: denied" in done.stdout
    assert (True, {"allowed": False, "outcome": "denied"}) == (told["allowed"], told["policy"])


def test_a_file_of_the_platform_itself(evaluate: Run, folder: Path, pin: str) -> None:
    """There is no policy to compare it with."""
    write_policy(folder, pin)
    (folder / "nsc.xml").write_text(
        "<network-security-config><domain-config><domain>api.test</domain><pin-set>"
        f'<pin digest="SHA-256">{pin.removeprefix("sha256/")}</pin></pin-set></domain-config>'
        "</network-security-config>"
    )

    told = json.loads(evaluate("--policy", "nsc.xml", "--json").stdout)

    assert (True, None, ["api-test"]) == (told["allowed"], told["policy"], told["rules"])
    (folder / "nsc.xml").write_text("<network-security-config>")
    assert 2 == evaluate("--policy", "nsc.xml").returncode


def test_a_chain_that_does_not_verify(evaluate: Run, folder: Path, pin: str) -> None:
    """The pin alone is not enough for Android."""
    write_policy(folder, pin)

    done = evaluate(host="other.test")

    assert 1 == done.returncode
    assert "does not verify" in done.stdout
