import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.pins.pin import Pin
from holdfast.updates.seed import load_seed
from tests.updates.signed_repository import NOW

Run = Callable[..., subprocess.CompletedProcess[str]]

LEAF, BACKUP, OTHER = (str(Pin.of_spki(key)) for key in (b"leaf", b"backup", b"other"))
POLICY = """\
[holdfast]
format = 1
unlisted = "allow"

[pin_set.api]
hosts = ["api.example.com"]
mode = "{mode}"
leaf = ["{leaf}"]
backup = ["{backup}"]
owner = "pay@example.com"
"""


@pytest.fixture
def updates(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `holdfast updates` with keys and passphrase."""
    (folder / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", str(folder / "passphrase"))
    _write(folder, LEAF)

    def updates(*words: object) -> subprocess.CompletedProcess[str]:
        return run("updates", *words)

    assert 0 == updates("init", "repo", "--keys", "keys", "--profile", "small").returncode
    return updates


def _write(folder: Path, leaf: str, mode: str = "enforce") -> None:
    (folder / "pins.toml").write_text(POLICY.format(mode=mode, leaf=leaf, backup=BACKUP))


def test_a_policy_is_published_and_its_pins_changed(updates: Run, folder: Path) -> None:
    """The first one with the offline keys; what has changed is said."""
    first = updates("publish", "repo", "--keys", "keys", "--rules")
    _write(folder, OTHER)
    second = updates("publish", "repo", "--keys", "keys", "--json")

    assert "Published serial 1, signed by pins, targets" in first.stdout
    told = json.loads(second.stdout)
    assert (0, 2) == (second.returncode, told["serial"])
    assert ["pins"] == [change["kind"] for change in told["changes"]]


def test_more_than_pins_is_refused_without_the_offline_keys(updates: Run, folder: Path) -> None:
    """The message says what it is, and who can sign it."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    _write(folder, LEAF, mode="report-only")

    done = updates("publish", "repo", "--keys", "keys")

    assert 2 == done.returncode
    assert "mode" in done.stderr
    assert "--rules" in done.stderr


def test_a_policy_with_an_error_is_not_published(updates: Run, folder: Path) -> None:
    """A pattern for a whole public suffix would pin what is not ours."""
    text = (folder / "pins.toml").read_text()
    (folder / "pins.toml").write_text(text.replace("api.example.com", "**.co.uk"))

    done = updates("publish", "repo", "--keys", "keys", "--rules")

    assert 2 == done.returncode
    assert "holdfast lint" in done.stderr


def test_a_key_is_denied(updates: Run) -> None:
    """It is listed, beside those that were."""
    updates("deny", "repo", LEAF, "--keys", "keys")
    done = updates("deny", "repo", OTHER, "--keys", "keys", "--json")

    assert sorted([LEAF, OTHER]) == json.loads(done.stdout)["denied"]
    assert 2 == updates("deny", "repo", "nonsense", "--keys", "keys").returncode


def test_break_glass_is_published_and_ended(updates: Run) -> None:
    """With the sets and the end, or with neither."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")

    begun = updates("breakglass", "repo", "api", "--until", until, "--keys", "keys")
    ended = updates("breakglass", "repo", "--keys", "keys", "--json")

    assert f"api is report-only until {until}" in begun.stdout
    assert {"serial": 2, "until": {}} == json.loads(ended.stdout)


def test_a_role_gets_new_keys(updates: Run, folder: Path) -> None:
    """They are made, and the old ones are of no use any more."""
    updates("publish", "repo", "--keys", "keys", "--rules")

    done = updates("rotate-key", "repo", "pins", "--new-keys", "fresh", "--keys", "keys")
    _write(folder, OTHER)

    assert 0 == done.returncode
    assert ["pins-1.pem"] == [file.name for file in (folder / "fresh").iterdir()]
    assert 2 == updates("publish", "repo", "--keys", "keys").returncode
    assert 0 == updates("publish", "repo", "--keys", "keys", "--keys", "fresh").returncode


def test_new_keys_that_nobody_signed_are_removed(updates: Run, folder: Path) -> None:
    """They would look like keys that protect something."""
    for file in (folder / "keys").glob("targets-*.pem"):
        file.unlink()

    done = updates("rotate-key", "repo", "pins", "--new-keys", "fresh", "--keys", "keys")

    assert 2 == done.returncode
    assert not (folder / "fresh").exists()


def test_the_status_says_who_signs_by_when(updates: Run, folder: Path) -> None:
    """Nothing is due in a new repository; signing again takes the key of the timestamp."""
    done = updates("status", "repo", "--json")
    assert 0 == done.returncode
    assert {"root", "targets", "snapshot", "timestamp", "emergency", "breakglass", "pins"} == {
        role["role"] for role in json.loads(done.stdout)
    }
    assert "SIGN AGAIN BEFORE" in updates("status", "repo").stdout
    assert "Signed timestamp." in updates("resign", "repo", "--keys", "keys").stdout

    (folder / "keys" / "timestamp-1.pem").unlink()
    missing = updates("resign", "repo", "--keys", "keys")
    assert 2 == missing.returncode
    assert "timestamp takes 1 of its 1 keys, and 0 are here" in missing.stderr


def test_a_seed_is_written(updates: Run, folder: Path) -> None:
    """It is what clients are shipped with, with its order."""
    assert 2 == updates("seed", "repo", "seed.json").returncode
    updates("publish", "repo", "--keys", "keys", "--rules")

    assert 0 == updates("seed", "repo", "seed.json").returncode
    seed = load_seed(folder / "seed.json", NOW)
    assert (1, 1) == (seed.epoch, seed.serial)
    assert ["api"] == [pin_set.name for pin_set in seed.policy.pin_sets]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("init", "repo", "--keys", "more"), "not empty"),
        (("init", "other", "--keys", "keys"), "exists"),
        (("publish", "nowhere", "--keys", "keys"), "updates init"),
        (("publish", "repo", "--keys", "keys", "--policy", "none.toml"), "none.toml"),
        (("publish", "repo"), "--keys"),
        (("publish", "repo", "--keys", "nowhere"), "no folder with keys"),
        (("breakglass", "repo", "api", "--keys", "keys"), "--until"),
        (("breakglass", "repo", "api", "--until", "soon", "--keys", "keys"), "not a time"),
        (("rotate-key", "repo", "nobody", "--new-keys", "n", "--keys", "keys"), "nobody"),
        (("resign", "repo", "--keys", "keys", "--passphrase-file", "pins.toml"), "passphrase"),
    ],
)
def test_mistakes_are_told(updates: Run, words: tuple[str, ...], told: str) -> None:
    """Each is bad input, with its place, and changes nothing."""
    done = updates(*words)

    assert 2 == done.returncode
    assert told in done.stderr


def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help is there without it."""
    for name in ("publisher", "repository", "signed_files"):
        monkeypatch.delitem(sys.modules, f"holdfast.updates.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "tuf.api.metadata", None)

    done = run("updates", "status", "repo")

    assert 2 == done.returncode
    assert "the package tuf\n" in done.stderr
    assert "pip install 'holdfast[updates]'" in done.stderr
    assert 0 == run("updates", "status", "--help").returncode
