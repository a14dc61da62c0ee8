import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.updates.roles import OFFLINE
from tests.cli.updates.policy_file import LEAF, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]
PEOPLE = ("alice", "bob", "carol")


@pytest.fixture
def updates(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `holdfast updates` with keys and passphrase.

    What is published is published as where no server can be reached and all of it is meant; the
    gates have tests of their own.
    """
    (folder / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", str(folder / "passphrase"))
    write_policy(folder, LEAF)

    def updates(*words: object) -> subprocess.CompletedProcess[str]:
        meant = ("--skip-live", "--emergency") if words[0] in {"publish", "new-epoch"} else ()
        return run("updates", *words, *meant)

    assert 0 == updates("init", "repo", "--keys", "keys", "--profile", "small").returncode
    return updates


@pytest.fixture
def people(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `updates`, in a folder with the keys of three people and the settings that list them."""
    (folder / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", str(folder / "passphrase"))
    monkeypatch.delenv("HOLDFAST_PIN_FILE", raising=False)
    write_policy(folder, LEAF)

    def updates(*words: object) -> subprocess.CompletedProcess[str]:
        meant = () if "--staged" in words or "publish" not in words[:3] else ("--skip-live",)
        return run("updates", *words, *meant)

    cards = folder / "repo" / "cards"
    cards.mkdir(parents=True)
    for name in PEOPLE:
        assert 0 == updates("new-key", f"usb-{name}", "--owner", name).returncode
        shutil.copy(folder / f"usb-{name}" / f"{name}.card.json", cards)
    listed = ", ".join(f'"cards/{name}.card.json"' for name in PEOPLE)
    (folder / "repo" / "repository.toml").write_text(
        'format = 1\nprofile = "saas"\n'
        + "".join(f"[role.{role}]\nkeys = [{listed}]\n" for role in sorted(OFFLINE))
    )
    return updates


@pytest.fixture
def ceremony(people: Run, folder: Path) -> Run:
    """The same, with a repository that alice and bob have signed, and its root.json."""
    steps = [
        ("stage", "first.json", "init", "repo", "--keys", "online"),
        ("sign", "first.json", "--keys", "usb-alice", "--yes"),
        ("sign", "first.json", "--keys", "usb-bob", "--yes"),
        ("publish", "repo", "--staged", "first.json", "--keys", "online"),
    ]
    for step in steps:
        done = people(*step)
        assert 0 == done.returncode, done.stderr
    shutil.copy(folder / "repo" / "metadata" / "1.root.json", folder / "root.json")
    return people
