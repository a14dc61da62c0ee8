import json
import plistlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.cli.policy_text import policy_as_toml
from holdfast.formats.registry import format_named
from holdfast.lab.authorities import Identity
from holdfast.pins.pin import Pin
from tests.formats.artifacts.test_android_binary import APK, binary
from tests.formats.artifacts.test_android_manifest import manifest
from tests.formats.artifacts.test_comparison import SHIPPED
from tests.formats.artifacts.test_resource_table import TWO
from tests.formats.test_round_trip import FOUR, ONE, write

Run = Callable[..., subprocess.CompletedProcess[str]]
LOCAL = """\
[holdfast]
format = 1
unlisted = "allow"

[pin_set.local]
hosts = ["localhost"]
endpoints = ["https://{place}"]
mode = "enforce"
leaf = ["{leaf}"]
backup = ["{backup}"]
"""


@pytest.fixture(autouse=True)
def policy(folder: Path) -> None:
    """Write the policy that the package was made of."""
    (folder / "pins.toml").write_text(policy_as_toml(SHIPPED))


def test_an_apk_as_it_was_built(run: Run) -> None:
    """It pins what the policy says; the JSON tells where."""
    done = run("verify-artifact", APK)
    told = json.loads(run("verify-artifact", APK, "--json").stdout)

    assert (0, "") == (done.returncode, done.stderr)
    assert "res/xml/network_security_config.xml: 4 pins (Android)" in done.stdout
    assert "as the policy says" in done.stdout
    assert [("android", 4)] == [(one["format"], len(one["pins"])) for one in told["found"]]


def test_a_policy_that_has_moved_on(run: Run, folder: Path) -> None:
    """What would have stopped an outage: source and package differ."""
    (folder / "pins.toml").write_text(policy_as_toml(SHIPPED).replace(str(ONE), str(FOUR), 1))

    done = run("verify-artifact", APK)
    sarif = run("verify-artifact", APK, "--format", "sarif")

    assert 1 == done.returncode
    assert "HF702" in done.stdout
    assert f"it lacks {FOUR}" in " ".join(done.stdout.split())
    assert "HF702" in sarif.stdout


def test_the_manifest_decides_which_configuration_counts(run: Run, folder: Path) -> None:
    """One beside it is said and left out; without a name for any, nothing is pinned."""
    done = run("verify-artifact", TWO)
    assert 0 == done.returncode
    assert "res/xml/former.xml: 2 pins (Android, not in force)" in done.stdout
    assert "HF710" in done.stdout

    with zipfile.ZipFile(folder / "unnamed.apk", "w") as package:
        package.writestr("AndroidManifest.xml", manifest(attribute=0x28))
        package.writestr("res/xml/network_security_config.xml", binary())
    unnamed = run("verify-artifact", "unnamed.apk", "--json")
    told = json.loads(unnamed.stdout)
    assert 1 == unnamed.returncode
    assert {"HF701", "HF709"} == {one["rule"] for one in told["findings"]}
    assert [False] == [one["in_force"] for one in told["found"]]


def test_an_ipa_and_a_wheel(run: Run, folder: Path) -> None:
    """A property list, binary as Xcode leaves it; a text in Python."""
    plist = plistlib.loads(write(format_named("apple"), SHIPPED))
    with zipfile.ZipFile(folder / "app.ipa", "w") as package:
        data = plistlib.dumps(plist, fmt=plistlib.FMT_BINARY)
        package.writestr("Payload/App.app/Info.plist", data)
    with zipfile.ZipFile(folder / "app.whl", "w") as package:
        package.writestr("app/pins.py", f'PIN = "{ONE}"\nOLD = "{Pin.of_spki(b"old")}"\n')

    assert 0 == run("verify-artifact", "app.ipa").returncode
    wheel = run("verify-artifact", "app.whl")
    assert 0 == wheel.returncode
    assert "HF705" in wheel.stdout


def test_bad_input(run: Run, folder: Path) -> None:
    """A package that there is not, or that has nothing in it."""
    (folder / "empty.apk").write_bytes(b"PK\x05\x06" + bytes(18))

    assert 2 == run("verify-artifact", "none.apk").returncode
    assert 1 == run("verify-artifact", "empty.apk").returncode


def test_the_server_is_looked_at(run: Run, folder: Path, place: str, identity: Identity) -> None:
    """By the pins that were shipped, not by those of the policy."""
    policy = LOCAL.format(place=place, leaf=identity.spki_pin, backup=FOUR)
    (folder / "pins.toml").write_text(policy)
    (folder / "App.app").mkdir()
    run("export", "android", "-o", "App.app/config.xml")
    live = ("verify-artifact", "App.app", "--live", "--anchors", "ca.pem")
    assert 0 == run(*live).returncode

    (folder / "pins.toml").write_text(policy.replace(identity.spki_pin, str(ONE)))
    run("export", "android", "-o", "App.app/config.xml")
    refused = run(*live)
    assert 1 == refused.returncode
    assert "HF708" in refused.stdout

    (folder / "pins.toml").write_text(policy.replace(place, "localhost:1"))
    run("export", "android", "-o", "App.app/config.xml")
    assert 3 == run(*live).returncode
