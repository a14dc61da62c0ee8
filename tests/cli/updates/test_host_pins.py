import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import BACKUP, LEAF, OTHER

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def published(updates: Run) -> Run:
    """A repository with a policy."""
    assert 0 == updates("publish", "repo", "--keys", "keys", "--rules").returncode
    return updates


def write_hosts(folder: Path, *entries: dict[str, object]) -> None:
    """Write `hosts.jsonl`."""
    (folder / "hosts.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in entries))


def test_host_pins_are_published_and_changed(published: Run, folder: Path) -> None:
    """With the online keys; what was done is said."""
    write_hosts(folder, {"host": "API.example.com", "leaf": [OTHER], "backup": [BACKUP]})
    first = published("hosts", "repo", "hosts.jsonl", "--keys", "keys", "--index")
    write_hosts(folder, {"host": "api.example.com", "remove": True})
    second = published("hosts", "repo", "hosts.jsonl", "--keys", "keys", "--changes", "--json")

    assert "Published serial 2: pins of 1 hosts and one file of all of them." in first.stdout
    assert "Signed 2 bins." in first.stdout
    assert {"serial": 3, "hosts": 0, "bins": 1, "index": True} == json.loads(second.stdout)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"host": "api.example.com"}, "line 2: the host has no pins"),
        ({"host": "api.example.com", "leaf": [LEAF]}, "an enforced set needs a way out"),
        ({"host": "a.example.org", "leaf": [LEAF], "backup": [BACKUP]}, "no set of the policy"),
        ({"host": "api.example.com", "remove": True}, "the key is not known"),
    ],
)
def test_mistakes_are_told_with_their_line(
    published: Run, folder: Path, entry: dict[str, object], told: str
) -> None:
    """And nothing is published."""
    write_hosts(folder, {"host": "*.example.com", "leaf": [LEAF], "backup": [BACKUP]}, entry)

    done = published("hosts", "repo", "hosts.jsonl", "--keys", "keys")

    assert 2 == done.returncode
    assert "hosts.jsonl: line 1.host: '*.example.com' is not a host name" in done.stderr
    assert told in done.stderr
    assert not list((folder / "repo").rglob("*hosts*"))


def test_host_pins_come_after_a_policy(updates: Run, folder: Path) -> None:
    """They change pins of sets that are there."""
    write_hosts(folder, {"host": "api.example.com", "leaf": [LEAF], "backup": [BACKUP]})

    done = updates("hosts", "repo", "hosts.jsonl", "--keys", "keys")

    assert 2 == done.returncode
    assert "has no policy yet" in done.stderr
    assert 2 == updates("hosts", "repo", "missing.jsonl", "--keys", "keys").returncode
