import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import LEAF, write_policy
from tests.updates.ceremony import followed
from tests.updates.soft_token import PIN, make_tokens

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_key_and_its_card_are_made(people: Run, folder: Path) -> None:
    """What to give away, and what to compare."""
    done = people("new-key", "usb-dave", "--owner", "dave")
    told = json.loads(people("new-key", "usb-erin", "--owner", "erin", "--json").stdout)

    card = json.loads((folder / "usb-dave" / "dave.card.json").read_text())
    assert (
        f"Wrote usb-dave/dave.card.json: the key of dave has the id {card['key']['keyid']}.\n"
        == done.stdout
    )
    assert ("erin", "usb-erin/erin.card.json", None) == (told["owner"], told["card"], told["uri"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("usb-alice", "--owner", "alice"), "alice.pem exists"),
        (("usb", "--owner", "../x"), "no name of an owner"),
        (("usb", "--owner", "../x", "--uri", "hsm:"), "no name of an owner"),
        (("usb",), "--owner"),
        (("usb", "--owner", "x", "--uri", "file2:/etc/passwd"), "no address of a key"),
    ],
)
def test_mistakes_are_told(people: Run, folder: Path, words: tuple[str, ...], told: str) -> None:
    """Nothing is made."""
    done = people("new-key", *words)

    assert 2 == done.returncode
    assert told in done.stderr
    assert not (folder / "usb").exists()


def test_a_passphrase_is_asked_for(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in files are encrypted."""
    monkeypatch.delenv("HOLDFAST_PASSPHRASE_FILE")
    done = people("new-key", "usb", "--owner", "x")

    assert 2 == done.returncode
    assert "--passphrase-file" in done.stderr


@pytest.mark.full
@pytest.mark.timeout(120)
def test_people_sign_with_tokens(tmp_path: Path) -> None:
    """From the cards of three tokens to a policy that is published."""
    write_policy(tmp_path, LEAF)
    people = ("alice", "bob", "carol")
    (tmp_path / "pin").write_text(f"{PIN}\n")
    (tmp_path / "passphrase").write_text("correct horse\n")
    environment = os.environ | make_tokens(tmp_path, *people)
    environment |= {"HOLDFAST_PIN_FILE": "pin", "PYTHONWARNINGS": "error"}

    def updates(*words: str, passphrase: bool = False) -> str:
        command = [sys.executable, "-m", "holdfast", "updates", *words]
        if passphrase:
            command += ["--passphrase-file", "passphrase"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    for name in people:
        updates("new-key", f"card-{name}", "--owner", name, "--uri", f"hsm:2?label={name}")
    listed = ", ".join(f'"../card-{name}/{name}.card.json"' for name in people)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "repository.toml").write_text(
        'format = 1\nprofile = "saas"\n[role.root]\n'
        f"keys = [{listed}]\n[role.targets]\nkeys = [{listed}]\n"
    )
    updates("stage", "first.json", "init", "repo", "--keys", "online", passphrase=True)
    for name in people[:2]:
        told = updates("sign", "first.json", "--keys", f"card-{name}", "--yes")
        assert f"Signed root as {name}, targets as {name}." in told
    publish = ("publish", "repo", "--keys", "online")
    updates(*publish, "--staged", "first.json", passphrase=True)
    updates(
        *("stage", "rules.json", "publish", "repo", "--rules", "--skip-live", "--keys", "online"),
        passphrase=True,
    )
    root = ("--root", "repo/metadata/1.root.json")
    for name in people[1:]:
        updates("sign", "rules.json", "--keys", f"card-{name}", "--yes", *root)

    told = updates(*publish, "--staged", "rules.json", passphrase=True)

    assert "Published targets, pins, snapshot, timestamp.\n" == told
    assert "2 of alice, bob, carol" in updates("status", "repo")
    known = (tmp_path / "repo" / "metadata" / "1.root.json").read_bytes()
    client = followed(tmp_path / "repo", known, tmp_path / "cache", datetime.now(UTC))
    assert [LEAF] == list(map(str, client.current().pin_sets[0].leaf))
