import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.pins.pin import Pin

Run = Callable[..., subprocess.CompletedProcess[str]]

LEAF, BACKUP, OTHER = (str(Pin.of_spki(key)) for key in (b"leaf", b"backup", b"other"))
POLICY = """\
[holdfast]
format = 1
unlisted = "allow"
{more}
[pin_set.api]
hosts = ["api.test"]
mode = "enforce"
leaf = ["{leaf}"]
backup = ["{backup}"]

[pin_set.shop]
hosts = ["**.shop.test"]
mode = "enforce"
leaf = ["{leaf}"]
backup = ["{backup}"]
"""
PROJECT = """\
<network-security-config>
    <!-- mine -->
    <base-config cleartextTrafficPermitted="false"/>
</network-security-config>
"""


@pytest.fixture(autouse=True)
def policy(folder: Path) -> Path:
    """Write `pins.toml`."""
    return write_policy(folder)


def write_policy(folder: Path, leaf: str = LEAF, more: str = "") -> Path:
    """Write `pins.toml` with a leaf pin."""
    file = folder / "pins.toml"
    file.write_text(POLICY.format(leaf=leaf, backup=BACKUP, more=more))
    return file


def test_the_text_goes_to_stdout_and_the_losses_to_stderr(run: Run) -> None:
    """So that it can be redirected."""
    plain = run("export", "android")
    assert "</network-security-config>\n" in plain.stdout
    assert "lost" not in plain.stdout
    done = run("export", "android", "--set", "api", "--json")

    (told,) = json.loads(done.stdout)
    assert "api.test" in told["text"]
    assert "shop.test" not in told["text"]
    assert {"position"} == {loss["kind"] for loss in told["losses"]}


def test_a_file_keeps_what_else_it_holds(run: Run, folder: Path) -> None:
    """And is not touched when it says so already."""
    file = folder / "config.xml"
    file.write_text(PROJECT)

    written = run("export", "android", "-o", "config.xml")
    again = run("export", "android", "-o", "config.xml")

    assert "config.xml: written" in written.stdout
    assert "holdfast: lost: note: pin_set.api" in written.stderr
    assert "<!-- mine -->" in file.read_text()
    assert "as the policy says" in again.stdout


def test_a_changed_pin_is_found_by_check(run: Run, folder: Path) -> None:
    """The gate in CI: it exits with 1, shows what differs, and writes nothing."""
    file = folder / "config.xml"
    file.write_text(PROJECT)
    run("export", "android", "-o", "config.xml")
    assert 0 == run("export", "android", "-o", "config.xml", "--check").returncode
    before = file.read_text()
    write_policy(folder, OTHER)

    done = run("export", "android", "-o", "config.xml", "--check")

    assert 1 == done.returncode
    assert f'+            <pin digest="SHA-256">{OTHER.removeprefix("sha256/")}' in done.stdout
    assert before == file.read_text()


def test_all_files_of_the_settings_are_kept_in_step(run: Run, folder: Path) -> None:
    """Each with its sets, relative to the settings."""
    (folder / "app").mkdir()
    (folder / "holdfast.toml").write_text(
        '[[export]]\nformat = "android"\nfile = "app/one.xml"\npin_sets = ["api"]\n'
        '[[export]]\nformat = "android"\nfile = "app/all.xml"\n'
    )

    assert 1 == run("export", "--all", "--check").returncode
    assert 0 == run("export", "--all").returncode
    assert 0 == run("export", "--all", "--check").returncode
    assert "shop.test" not in (folder / "app/one.xml").read_text()
    assert "shop.test" in (folder / "app/all.xml").read_text()


def test_strict_fails_on_a_loss_that_matters(run: Run, folder: Path) -> None:
    """And writes nothing."""
    write_policy(folder, more=f'denied = ["{OTHER}"]')

    done = run("export", "android", "-o", "config.xml", "--strict")

    assert 1 == done.returncode
    assert "lets through: holdfast.denied" in done.stderr
    assert not (folder / "config.xml").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "FORMAT"),
        (("android", "--all"), "FORMAT"),
        (("--all", "--set", "api"), "--all takes"),
        (("--all",), "[[export]]"),
        (("android", "--check"), "-o FILE"),
        (("android", "--set", "nobody"), "no pin set nobody"),
        (("android", "-o", "nowhere/x.xml"), "folder"),
        (("android", "-o", "pins.toml"), "pins.toml: this is not XML"),
        (("windows",), "windows"),
    ],
)
def test_mistakes_are_told(run: Run, words: tuple[str, ...], told: str) -> None:
    """Each is bad input."""
    done = run("export", *words)

    assert 2 == done.returncode
    assert told in done.stderr
