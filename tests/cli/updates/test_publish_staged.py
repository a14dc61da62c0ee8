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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--staged", "first.json"), "is not empty"),
        (("--staged", "none.json"), "none.json"),
        (("--staged", "first.json", "--rules"), "leave out --rules"),
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
