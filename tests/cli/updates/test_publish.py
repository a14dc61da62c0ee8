import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.updates.policy_file import LEAF, OTHER, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_policy_is_published_and_its_pins_changed(updates: Run, folder: Path) -> None:
    """The first one with the offline keys; what has changed is said."""
    first = updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, OTHER)
    second = updates("publish", "repo", "--keys", "keys", "--json")

    assert "Published serial 1, signed by pins, targets" in first.stdout
    told = json.loads(second.stdout)
    assert (0, 2) == (second.returncode, told["serial"])
    assert ["pins"] == [change["kind"] for change in told["changes"]]


def test_more_than_pins_is_refused_without_the_offline_keys(updates: Run, folder: Path) -> None:
    """The message says what it is, and who can sign it."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, LEAF, mode="report-only")

    done = updates("publish", "repo", "--keys", "keys")

    assert 1 == done.returncode
    assert "mode goes from enforce to report-only" in done.stdout
    assert "--rules" in done.stdout


def test_a_policy_with_an_error_is_not_published(updates: Run, folder: Path) -> None:
    """A pattern for a whole public suffix would pin what is not ours."""
    text = (folder / "pins.toml").read_text()
    (folder / "pins.toml").write_text(text.replace("api.example.com", "**.co.uk"))

    done = updates("publish", "repo", "--keys", "keys", "--rules")

    assert 1 == done.returncode
    assert "HF140" in done.stdout
