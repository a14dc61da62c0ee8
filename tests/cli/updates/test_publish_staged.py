import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import LEAF

Run = Callable[..., subprocess.CompletedProcess[str]]
PUBLISH = ("publish", "repo", "--keys", "online")


def test_copies_of_a_request_are_published(ceremony: Run, folder: Path) -> None:
    """Each was signed by one; alone neither is enough, and it is said who is missing."""
    ceremony("stage", "a.json", "publish", "repo", "--rules", "--keys", "online")
    shutil.copy(folder / "a.json", folder / "b.json")
    for file, name in (("a.json", "alice"), ("b.json", "carol")):
        ceremony("sign", file, "--keys", f"usb-{name}", "--yes", "--root", "root.json")

    alone = ceremony(*PUBLISH, "--staged", "b.json")
    done = ceremony(*PUBLISH, "--staged", "a.json", "--staged", "b.json", "--json")

    assert 2 == alone.returncode
    assert "targets takes 2 of its keys; signed by carol; 1 missing, of alice, bob" in alone.stderr
    assert {"signed": ["targets", "pins", "snapshot", "timestamp"]} == json.loads(done.stdout)


def test_a_new_epoch_is_staged(ceremony: Run, folder: Path) -> None:
    """Its serials begin anew."""
    seeds = []
    publish, new_epoch = ("publish", "repo", "--rules"), ("new-epoch", "repo", "--skip-live")
    for file, words in (("a.json", publish), ("b.json", new_epoch)):
        ceremony("stage", file, *words, "--keys", "online")
        for name in ("alice", "bob"):
            ceremony("sign", file, "--keys", f"usb-{name}", "--yes", "--root", "root.json")
        assert 0 == ceremony(*PUBLISH, "--staged", file).returncode
        ceremony("seed", "repo", "seed.json")
        seed = json.loads((folder / "seed.json").read_text())
        seeds.append((seed["epoch"], seed["bundle"]["serial"]))
    assert [(1, 1), (2, 1)] == seeds


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--staged", "first.json"), "is not empty"),
        (("--staged", "none.json"), "none.json"),
        (("--staged", "first.json", "--rules"), "leave out --rules"),
        (("--staged", "first.json", "--skip-live"), "leave out --skip-live"),
        (("--staged", "first.json", "--percent", "5"), "leave out --percent"),
        (("--staged", "first.json", "--policy", "pins.toml"), "leave out --policy"),
        (("--staged", "first.json", "--staged", "deny.json"), "not about the same"),
    ],
)
def test_mistakes_are_told(ceremony: Run, words: tuple[str, ...], told: str) -> None:
    """Each is bad input, and changes nothing."""
    ceremony("stage", "deny.json", "deny", "repo", LEAF)
    done = ceremony(*PUBLISH, *words)

    assert 2 == done.returncode
    assert told in done.stderr
