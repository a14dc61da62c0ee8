import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from tests.cli.updates.policy_file import BACKUP, OTHER

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., None]

SET = """
[pin_set.{name}]
hosts = [{hosts}]
mode = "{mode}"
leaf = ["{leaf}"]
backup = ["{backup}"]
{more}
"""


@pytest.fixture
def write(folder: Path) -> Write:
    """Return a function that writes `pins.toml` with one set for `localhost`, or more text."""

    def write(leaf: str, endpoint: str = "", backup: str = BACKUP, **fields: str) -> None:
        text = SET.format(
            **{"name": "api", "hosts": '"localhost"', "mode": "enforce"}
            | {"leaf": leaf, "backup": backup}
            | {"more": f'endpoints = ["https://{endpoint}"]' if endpoint else ""}
            | fields
        )
        head = '[holdfast]\nformat = 1\nunlisted = "allow"\n'
        (folder / "pins.toml").write_text(head + text)

    return write


@pytest.fixture
def publish(updates: Run, run: Run, authority: Authority) -> Run:
    """Return a function that publishes with all gates closed, in a repository of its own."""
    assert 2 == updates("status", "nowhere").returncode  # the fixture has made keys

    def publish(*words: object) -> subprocess.CompletedProcess[str]:
        gates = ("--anchors", "ca.pem", "--timeout", 5)
        return run("updates", "publish", "repo", "--keys", "keys", "--rules", *gates, *words)

    return publish


def _rules(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [one["rule"] for one in json.loads(done.stdout)["findings"]]


def test_what_the_server_shows_passes(
    publish: Run, write: Write, identity: Identity, place: str
) -> None:
    """Its key is pinned, a backup is not in use: it is published and nothing is said."""
    write(identity.spki_pin, place)
    done = publish("--json")

    told = json.loads(done.stdout)
    assert (0, 1, [], []) == (done.returncode, told["serial"], told["findings"], told["changes"])
    assert "" == done.stderr


def test_a_policy_that_would_lock_clients_out(
    publish: Run, write: Write, place: str, folder: Path
) -> None:
    """Nothing is written, the exit code says that something was found, and why is told."""
    write(OTHER, place)
    before = sorted(folder.joinpath("repo").rglob("*.json"))
    done = publish()

    assert 1 == done.returncode
    assert "HF601" in done.stdout
    assert "clients would be locked out" in done.stdout
    assert "Nothing was published." in done.stdout
    assert "nothing was published" in done.stderr
    assert before == sorted(folder.joinpath("repo").rglob("*.json"))


def test_an_endpoint_that_does_not_answer(publish: Run, write: Write) -> None:
    """That is neither a finding nor success: code 3, and a way out that says what it omits."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"localhost:{free.getsockname()[1]}"
    write(OTHER, nobody)
    silent = publish("--json")
    skipped = publish("--skip-live", "--json")

    assert (3, ["HF602"]) == (silent.returncode, _rules(silent))
    assert (0, ["HF608"]) == (skipped.returncode, _rules(skipped))


def test_no_reserve(publish: Run, write: Write, authority: Authority, identity: Identity) -> None:
    """The backup is what the server shows beside the leaf."""
    other = authority.issue("localhost")
    with LabServer(identity) as one, LabServer(other) as two:
        ports = ", ".join(f'"https://localhost:{server.port}"' for server in (one, two))
        write(identity.spki_pin, backup=other.spki_pin, more=f"endpoints = [{ports}]")
        done = publish("--json")

    assert (1, ["HF603"]) == (done.returncode, _rules(done))


@pytest.fixture
def published(publish: Run, write: Write, identity: Identity, place: str) -> str:
    """The key of a server that is published, and still shown."""
    write(identity.spki_pin, place)
    assert 0 == publish().returncode
    return identity.spki_pin


def test_all_is_told_at_once(publish: Run, write: Write, published: str) -> None:
    """A lint error, and pins that go although they are in use."""
    write(OTHER, "", hosts='"**.co.uk"', name="other")
    done = publish("--json")

    assert 1 == done.returncode
    assert {"HF140", "HF605"} <= set(_rules(done))


def test_a_pin_in_use_goes_in_an_emergency_only(
    publish: Run, write: Write, authority: Authority, published: str, place: str
) -> None:
    """Its path has another pin, so that nobody is locked out; it is in use all the same."""
    more = f'endpoints = ["https://{place}"]\nca = ["{authority.spki_pin}"]'
    write(BACKUP, backup=OTHER, more=more)
    refused, meant = publish("--json"), publish("--emergency", "--json")

    assert (1, ["HF605"]) == (refused.returncode, _rules(refused))
    assert (0, ["HF605"]) == (meant.returncode, _rules(meant))


def test_a_denied_key_locks_clients_out(
    publish: Run, write: Write, run: Run, published: str, place: str
) -> None:
    """The deny list is laid on top, as clients do."""
    run("updates", "deny", "repo", published, "--keys", "keys")
    write(published, place, backup=OTHER)
    done = publish("--json")

    assert (1, ["HF601"]) == (done.returncode, _rules(done))
    assert "denies" in done.stdout


def test_a_dry_run_publishes_nothing(
    publish: Run, write: Write, published: str, place: str, folder: Path
) -> None:
    """It says what would change, what weakens first, what would be refused, and the code."""
    before = (folder / "repo" / "metadata" / "timestamp.json").read_bytes()
    write(published, place, backup=OTHER, mode="report-only")
    well = publish("--dry-run")
    write(OTHER, place)
    ill = publish("--dry-run", "--json")

    assert 0 == well.returncode
    kinds = [line.partition(":")[0] for line in well.stdout.splitlines()]
    assert ["weakening", "pins", "Nothing was published."] == list(dict.fromkeys(kinds))
    assert 1 == ill.returncode
    assert None is json.loads(ill.stdout)["serial"]
    assert ["HF601", "HF605"] == _rules(ill)
    assert before == (folder / "repo" / "metadata" / "timestamp.json").read_bytes()


def test_a_wildcard_cannot_be_looked_at(publish: Run, write: Write) -> None:
    """Which is said, and stands in nobody's way before the first publication."""
    write(OTHER, hosts='"*.example.com"')
    done = publish("--json")

    assert 0 == done.returncode
    assert ["note"] == [one["severity"] for one in json.loads(done.stdout)["findings"]]


def test_many_sets_at_once(publish: Run, write: Write, folder: Path) -> None:
    """A tool gone wild is stopped before it has rewritten everything."""
    text = [
        SET.format(
            name=f"api{index}",
            hosts=f'"*.api{index}.example.com"',
            mode="enforce",
            leaf=OTHER,
            backup=BACKUP,
            more="",
        )
        for index in range(5)
    ]
    write(OTHER, hosts='"*.example.com"')
    head = (folder / "pins.toml").read_text()
    (folder / "pins.toml").write_text(head + "".join(text))
    assert 0 == publish().returncode
    (folder / "pins.toml").write_text(head)
    words: tuple[Any, ...] = ("--emergency", "--json")
    refused, meant = publish(*words), publish(*words, "--large")

    assert 1 == refused.returncode
    assert "HF606" in _rules(refused)
    assert 0 == meant.returncode
    assert "HF606" in _rules(meant)
