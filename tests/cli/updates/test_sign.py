import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from holdfast.pins.pin import Pin
from tests.cli.updates.policy_file import LEAF, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def staged(ceremony: Run) -> Run:
    """The ceremony with a denied key that waits for a signature."""
    assert 0 == ceremony("stage", "deny.json", "deny", "repo", LEAF).returncode
    return ceremony


def test_what_changes_is_told_before_it_is_signed(staged: Run) -> None:
    """And afterwards who has signed."""
    done = staged("sign", "deny.json", "--root", "root.json", "--keys", "usb-alice", "--yes")

    assert 0 == done.returncode
    lines = done.stdout.splitlines()
    assert f"strengthening: denied: {LEAF} is denied" == lines[0]
    assert "It builds on version 1 of the root, which comes from root.json." in lines
    assert [
        "Signed emergency as alice.",
        "emergency takes 1 of its keys; signed by alice",
    ] == lines[-2:]


def test_nothing_is_signed_unseen(ceremony: Run, folder: Path) -> None:
    """A long line is told to its end, and what follows in it looks like no line of its own."""
    pins = [str(Pin.of_spki(bytes([number]))) for number in range(100)]
    text = (folder / "pins.toml").read_text()
    (folder / "pins.toml").write_text(text.replace(f'["{LEAF}"]', json.dumps(pins)))
    ceremony("stage", "long.json", "publish", "repo", "--rules", "--keys", "online")

    lines = ceremony("sign", "long.json", "--root", "root.json").stdout.splitlines()

    (first,) = [index for index, line in enumerate(lines) if line.startswith("pins: pin_set.api")]
    parts = [lines[first]]
    for line in lines[first + 1 :]:
        if not line.startswith("    "):
            break
        parts.append(line.removeprefix("    "))
    assert all(pin in "".join(parts) for pin in pins)


def test_without_keys_it_is_only_told(staged: Run, folder: Path) -> None:
    """So that everybody can look."""
    before = (folder / "deny.json").read_bytes()
    shown = staged("sign", "deny.json")
    told = json.loads(staged("sign", "deny.json", "--json").stdout)

    assert "compared with none (give --root), of the keys alice (" in shown.stdout
    assert [] == told["signed"]
    assert ["strengthening", "neutral"] == [one["kind"] for one in told["changes"]]
    assert [1] == [one["missing"] for one in told["signatures"]]
    assert before == (folder / "deny.json").read_bytes()


def test_programs_are_told_too(staged: Run) -> None:
    """Once somebody has said that they have looked."""
    blind = staged("sign", "deny.json", "--keys", "usb-bob", "--json")
    done = staged("sign", "deny.json", "--keys", "usb-bob", "--json", "--yes")

    assert 2 == blind.returncode
    assert "nobody reads JSON" in blind.stderr
    told = json.loads(done.stdout)
    assert ["emergency"] == told["signed"]
    assert [["bob"]] == [one["signed"] for one in told["signatures"]]


def test_a_lowered_threshold_is_told_first(ceremony: Run, folder: Path) -> None:
    """It stands above all else that the request is said to be about."""
    settings = folder / "repo" / "repository.toml"
    text = settings.read_text().replace("[role.targets]", "[role.targets]\nthreshold = 1")
    settings.write_text(text)
    ceremony("stage", "harmless.json", "rotate-key", "repo", "targets")

    done = ceremony("sign", "harmless.json", "--root", "root.json")

    assert (
        "weakening: targets.threshold: the threshold goes from 2 to 1"
        == done.stdout.splitlines()[0]
    )


class _Terminal:
    """A person at a terminal."""

    def isatty(self) -> bool:
        """There is one."""
        return True


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 2)])
def test_a_person_is_asked(
    staged: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, *, answer: bool, code: int
) -> None:
    """With what is signed as whom; a no leaves the request as it was."""
    before = (folder / "deny.json").read_bytes()
    asked = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr(click, "confirm", confirm)
    done = staged("sign", "deny.json", "--keys", "usb-alice")

    assert code == done.returncode
    assert ["Sign emergency as alice?"] == asked
    assert answer is (before != (folder / "deny.json").read_bytes())
    assert ("nothing was signed" in done.stderr) is not answer


def test_nothing_is_signed_where_nobody_can_be_asked(
    staged: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script says that somebody has looked."""
    before = (folder / "deny.json").read_bytes()
    with (folder / "passphrase").open() as no_terminal:
        monkeypatch.setattr(sys, "stdin", no_terminal)
        done = staged("sign", "deny.json", "--keys", "usb-alice")

    assert 2 == done.returncode
    assert "--yes" in done.stderr
    assert before == (folder / "deny.json").read_bytes()


def test_who_may_not_sign_is_told(staged: Run) -> None:
    """Neither a stranger, nor one who has."""
    staged("new-key", "usb-mallory", "--owner", "mallory")
    for keys in ("usb-mallory", "online"):
        done = staged("sign", "deny.json", "--keys", keys, "--yes")
        assert 2 == done.returncode
        assert "none of these keys may sign this request" in done.stderr


def test_a_request_that_was_changed_is_told(staged: Run, folder: Path) -> None:
    """With whose signature does not fit any more."""
    staged("sign", "deny.json", "--keys", "usb-alice", "--yes")
    tables = json.loads((folder / "deny.json").read_text())
    tables["after"]["emergency"]["signed"]["expires"] = "9999-01-01T00:00:00Z"
    (folder / "deny.json").write_text(json.dumps(tables))

    done = staged("sign", "deny.json", "--keys", "usb-bob", "--yes")

    assert 2 == done.returncode
    assert "the signature of alice does not fit emergency as it is now" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("none.json", None, "none.json cannot be read"),
        ("root.txt", "{}", "root.txt cannot be read as root metadata"),
        ("pins.toml", None, "pins.toml cannot be read as root metadata"),
        ("repo/metadata/1.targets.json", None, "is no root metadata"),
    ],
)
def test_a_root_that_is_none_is_told(
    staged: Run, folder: Path, name: str, text: str | None, told: str
) -> None:
    """Before anything is signed."""
    if text is not None:
        (folder / name).write_text(text)

    done = staged("sign", "deny.json", "--root", name, "--keys", "usb-alice", "--yes")

    assert 2 == done.returncode
    assert told in done.stderr


def test_a_request_from_elsewhere_is_told(staged: Run, folder: Path) -> None:
    """A root of another repository is not what it builds on."""
    write_policy(folder, LEAF)
    staged("init", "other", "--keys", "other-keys")

    done = staged(
        *("sign", "deny.json", "--root", "other/metadata/1.root.json"),
        *("--keys", "usb-alice", "--yes"),
    )

    assert 2 == done.returncode
    assert "does not come from the root that is known" in done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "[" * 10_000])
def test_what_is_no_request_is_told(staged: Run, folder: Path, text: str) -> None:
    """Whatever it is."""
    (folder / "x.json").write_text(text)
    done = staged("sign", "x.json")

    assert 2 == done.returncode
    assert "x.json" in done.stderr


def test_a_new_repository_is_to_be_compared(people: Run) -> None:
    """There is no root yet that it could come from."""
    people("stage", "new.json", "init", "repo", "--keys", "online")
    done = people("sign", "new.json", "--keys", "usb-alice", "--yes")

    assert "compare the keys above with their owners' cards" in done.stdout
