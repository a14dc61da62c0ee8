import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.updates.policy_file import LEAF, OTHER, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_an_epoch_begins(updates: Run) -> None:
    """With serial 1, and the seed says in which epoch."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    done = updates("new-epoch", "repo", "--keys", "keys")
    seed = updates("seed", "repo", "seed.json")

    assert 0 == done.returncode
    assert "Published serial 1 of epoch 2, signed by pins, targets, snapshot" in done.stdout
    assert "serial 1 of epoch 2" in seed.stdout


def test_a_denial_is_lifted(updates: Run) -> None:
    """The one that is named; the others stay on the list."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    updates("deny", "repo", LEAF, OTHER, "--keys", "keys")
    done = updates("new-epoch", "repo", "--lift", LEAF, "--keys", "keys", "--json")
    denied = updates("deny", "repo", OTHER, "--keys", "keys", "--json")

    told = json.loads(done.stdout)
    assert (0, 2, 1) == (done.returncode, told["epoch"], told["serial"])
    assert "emergency" in told["signed"]
    assert [OTHER] == json.loads(denied.stdout)["denied"]


def test_what_cannot_be_lifted(updates: Run, folder: Path) -> None:
    """Nothing is published then, and no epoch begins."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    nonsense = updates("new-epoch", "repo", "--lift", "nonsense", "--keys", "keys")
    absent = updates("new-epoch", "repo", "--lift", LEAF, "--keys", "keys")

    assert (2, 2) == (nonsense.returncode, absent.returncode)
    assert "nonsense" in nonsense.stderr
    assert "is not denied" in absent.stderr
    assert "epoch 1" in updates("seed", "repo", "seed.json").stdout


def test_the_gates_hold_for_it_too(updates: Run, run: Run, folder: Path) -> None:
    """A policy that removes pins in use is not published in a new epoch either."""
    updates("publish", "repo", "--keys", "keys", "--rules")
    write_policy(folder, OTHER)
    words = ("updates", "new-epoch", "repo", "--keys", "keys", "--skip-live")

    assert 1 == run(*words).returncode
    assert 0 == run(*words, "--emergency", "--dry-run").returncode
    assert "epoch 1" in updates("seed", "repo", "seed.json").stdout
