import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.pins.pin import Pin
from tests.cli.updates.policy_file import LEAF, OTHER, write_policy

THIRD = str(Pin.of_spki(b"third"))
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


def test_a_policy_is_rolled_out_in_steps(updates: Run, folder: Path) -> None:
    """To a share, to more, to nobody, and then to everybody; the keys of the machine sign it."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, OTHER)

    first = updates("publish", "repo", "--keys", "keys", "--percent", "5")
    assert "pins: pin_set.api.leaf: leaf adds" in first.stdout
    assert "Published serial 2 for 5 % of clients, signed by pins, snapshot" in first.stdout
    shares = [
        json.loads(updates("publish", "repo", "--keys", "keys", "--json", *words).stdout)
        for words in (("--percent", "12.34"), ("--percent", "0"), ())
    ]
    assert ["12.34", "0", None] == [told["candidate_percent"] for told in shares]
    assert [3, 4, 5] == [told["serial"] for told in shares]
    assert ["pins"] == [change["kind"] for change in shares[-1]["changes"]]


@pytest.mark.parametrize("share", ["-1", "100.01", "0.001", "many", "NaN", "inf", ""])
def test_what_is_no_share_is_told(updates: Run, share: str) -> None:
    """Hundredths of a percent are the smallest step."""
    done = updates("publish", "repo", "--keys", "keys", "--percent", share)

    assert 2 == done.returncode
    assert "from 0 to 100" in done.stderr


def test_a_roll_out_has_its_place(updates: Run, folder: Path) -> None:
    """Beside a stable policy, from which it differs, and in pins alone."""
    percent = ("publish", "repo", "--keys", "keys", "--percent", "5")
    assert "without --percent" in updates(*percent).stderr
    updates("publish", "repo", "--keys", "keys", "--rules")
    assert "says already" in updates(*percent).stderr
    write_policy(folder, OTHER, mode="report-only")
    assert "not rolled out in steps" in updates(*percent).stderr
    dry = updates(*percent, "--dry-run")
    assert (1, True) == (dry.returncode, "more than pins changes" in dry.stdout)

    done = updates(*percent, "--rules")
    assert 2 == done.returncode
    assert "--rules without --percent" in done.stderr


def test_a_candidate_that_is_dropped_is_told(updates: Run, folder: Path) -> None:
    """Whoever publishes in haste may not have thought of it; what is promoted is not dropped."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, OTHER)
    updates("publish", "repo", "--keys", "keys", "--percent", "5")
    write_policy(folder, THIRD)
    other = updates("publish", "repo", "--keys", "keys", "--percent", "10")
    write_policy(folder, OTHER)
    stable = json.loads(updates("publish", "repo", "--keys", "keys", "--json").stdout)

    assert "The candidate for 5 % of clients is dropped." in other.stdout
    assert "10" == stable["dropped_percent"]
    write_policy(folder, THIRD)
    updates("publish", "repo", "--keys", "keys", "--percent", "5")
    assert "dropped" not in updates("publish", "repo", "--keys", "keys", "--percent", "6").stdout
    assert "dropped" not in updates("publish", "repo", "--keys", "keys").stdout
