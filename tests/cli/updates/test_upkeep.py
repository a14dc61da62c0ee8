import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from holdfast.updates.seed import load_seed
from tests.cli.updates.policy_file import LEAF, OTHER, write_policy
from tests.updates.signed_repository import NOW

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_status_says_who_signs_by_when(updates: Run, folder: Path) -> None:
    """Nothing is due in a new repository; signing again takes the key of the timestamp."""
    done = updates("status", "repo", "--json")
    assert 0 == done.returncode
    assert {"root", "targets", "snapshot", "timestamp", "emergency", "breakglass", "pins"} == {
        role["role"] for role in json.loads(done.stdout)["roles"]
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


def test_a_roll_out_is_shown_and_is_no_seed(updates: Run, folder: Path) -> None:
    """The share and what it changes; applications ship the stable policy."""
    assert {None} == {
        json.loads(updates("status", "repo", "--json").stdout)[key]
        for key in ("serial", "candidate_percent")
    }
    updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, OTHER)
    updates("publish", "repo", "--keys", "keys", "--percent", "2.5")

    told = json.loads(updates("status", "repo", "--json").stdout)
    assert (2, "2.5") == (told["serial"], told["candidate_percent"])
    shown = updates("status", "repo").stdout
    assert "A candidate is rolled out to 2.5 % of clients: pin_set.api.leaf: leaf adds" in shown
    assert 0 == updates("seed", "repo", "seed.json").returncode
    seed = load_seed(folder / "seed.json", NOW)
    assert (LEAF,) == tuple(map(str, seed.policy.pin_sets[0].leaf))
    assert "candidate" not in (folder / "seed.json").read_text()


def test_roles_that_are_named_are_signed_again(updates: Run) -> None:
    """Whenever they are due."""
    done = updates("resign", "repo", "root", "targets", "--keys", "keys")

    assert "Signed root, targets, snapshot, timestamp.\n" == done.stdout
    told = json.loads(updates("resign", "repo", "--keys", "keys", "--json").stdout)
    assert {"signed": ["timestamp"]} == told
    assert 2 == updates("resign", "repo", "nobody", "--keys", "keys").returncode


def test_the_status_says_where_the_settings_differ(updates: Run, folder: Path) -> None:
    """For people and for programs, with whose the keys are."""
    settings = folder / "repo" / "repository.toml"
    settings.write_text(settings.read_text().replace("threshold = 1", "threshold = 2", 1))
    shown = updates("status", "repo").stdout
    told = json.loads(updates("status", "repo", "--json").stdout)
    roles = {one["role"]: one for one in told["roles"]}

    words = "its threshold is 1, by repository.toml 2"
    assert f"root: {words}" in shown.splitlines()
    assert ([words], []) == (roles["root"]["differs"], roles["targets"]["differs"])
    assert "1 of root-1, root-2" in shown
