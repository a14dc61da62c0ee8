import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.cli.updates.policy_file import LEAF, OTHER

Run = Callable[..., subprocess.CompletedProcess[str]]


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
