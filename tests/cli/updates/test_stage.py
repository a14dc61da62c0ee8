import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import LEAF

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_request_is_written_and_says_who_signs(ceremony: Run, folder: Path) -> None:
    """Without keys; the repository stays as it is, and stdout is what the command prints."""
    before = sorted((folder / "repo").rglob("*"))
    done = ceremony("stage", "deny.json", "deny", "repo", LEAF)

    assert 0 == done.returncode
    assert f"{LEAF}\nStaged deny list 2.\n" == done.stdout
    assert "Sign it with `holdfast updates sign deny.json --keys FOLDER`" in done.stderr
    assert (
        "emergency takes 1 of its keys; signed by nobody; 1 missing, of alice, bob, carol"
        in done.stderr
    )
    assert before == sorted((folder / "repo").rglob("*"))


def test_each_command_can_be_staged(ceremony: Run, folder: Path) -> None:
    """With the keys that are here, if any."""
    online = ("--keys", "online")
    policy = ceremony("stage", "1.json", "publish", "repo", "--rules", *online)
    assert policy.stdout.endswith("Staged serial 1, to be signed by pins, targets.\n")
    resigned = ceremony("stage", "2.json", "resign", "repo", "root", "emergency")
    assert "Staged, to be signed by root, emergency.\n" == resigned.stdout
    rotated = ceremony("stage", "3.json", "rotate-key", "repo", "root", "--json")
    assert "root" == json.loads(rotated.stdout)["role"]
    assert "1.json" in policy.stderr
    for name in ("alice", "bob"):
        assert 0 == ceremony("sign", "1.json", "--keys", f"usb-{name}", "--yes").returncode
    ceremony("publish", "repo", "--staged", "1.json", *online)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    opened = ceremony("stage", "4.json", "breakglass", "repo", "api", "--until", until)
    assert "Staged break-glass list 1." in opened.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("deny", "repo", "nonsense"), "nonsense"),
        (("resign", "repo"), "name the roles"),
        (("publish", "repo", "--staged", "first.json"), "updates publish"),
        (("preview", "repo"), "preview"),
        (("init", "repo", "--keys", "more"), "not empty"),
    ],
)
def test_mistakes_are_told(ceremony: Run, folder: Path, words: tuple[str, ...], told: str) -> None:
    """Each is bad input, and changes nothing."""
    done = ceremony("stage", "new.json", *words)

    assert 2 == done.returncode
    assert told in done.stderr
    assert not (folder / "new.json").exists()


def test_a_request_is_never_overwritten(ceremony: Run, folder: Path) -> None:
    """Somebody may have signed it; no key is made for nothing either."""
    (folder / "other").mkdir()
    for file, told in (("root.json", "exists"), ("nowhere/new.json", "is no folder")):
        done = ceremony("stage", file, "init", "other", "--keys", "more")
        assert 2 == done.returncode
        assert told in done.stderr
    assert not (folder / "more").exists()


def test_keys_are_still_asked_for_where_something_is_published(ceremony: Run) -> None:
    """Only a request can do without."""
    done = ceremony("deny", "repo", LEAF)

    assert 2 == done.returncode
    assert "--keys" in done.stderr


def test_who_cannot_sign_here_is_told_of_requests(ceremony: Run) -> None:
    """With the names of those who can."""
    done = ceremony("deny", "repo", LEAF, "--keys", "online")

    assert 2 == done.returncode
    assert "there are also those of alice, bob, carol" in done.stderr
    assert "holdfast updates stage" in done.stderr
