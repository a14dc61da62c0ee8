import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_keys_and_a_repository_are_made(updates: Run, folder: Path) -> None:
    """What is to be shipped, what to be taken away, and one key for each that signs."""
    done = updates("init", "bank", "--keys", "bank-keys", "--profile", "bank")
    told = json.loads(updates("init", "more", "--keys", "more-keys", "--json").stdout)

    assert 0 == done.returncode
    assert "root, targets, emergency, breakglass off this machine" in done.stdout
    assert 3 == len(list((folder / "bank-keys").glob("pins-*.pem")))
    assert (folder / told["root"]).is_file()


def test_how_it_is_signed_is_written_down(updates: Run, folder: Path) -> None:
    """The figures of the profile, in a file that can be changed."""
    text = (folder / "repo" / "repository.toml").read_text()

    assert "[role.timestamp]\nthreshold = 1\nkeys = 1\ndays = 7\n" in text


def test_what_is_written_down_already_counts(updates: Run, folder: Path) -> None:
    """It is not overridden, and nothing else may be in the folder."""
    (folder / "own").mkdir()
    (folder / "own" / "repository.toml").write_text(
        'format = 1\nprofile = "small"\n[role.root]\nkeys = 5\nthreshold = 3\n'
    )
    both = updates("init", "own", "--keys", "own-keys", "--profile", "bank")
    assert 2 == both.returncode
    assert 'write profile = "bank" there' in both.stderr

    assert 0 == updates("init", "own", "--keys", "own-keys").returncode
    told = json.loads(updates("status", "own", "--json").stdout)
    roles = {one["role"]: one for one in told["roles"]}
    assert (5, 3) == (roles["root"]["keys"], roles["root"]["threshold"])
    assert ["root-1", "root-2"] == roles["root"]["owners"][:2]


def test_a_file_with_mistakes_makes_nothing(updates: Run, folder: Path) -> None:
    """All of them are told."""
    (folder / "own").mkdir()
    (folder / "own" / "repository.toml").write_text("format = 1\n[role.root]\nkeys = 0\n")
    done = updates("init", "own", "--keys", "own-keys")

    assert 2 == done.returncode
    assert "role.root.keys: 0 is out of range" in done.stderr
    assert "role.root.days: the key is missing" in done.stderr
    assert not (folder / "own-keys").exists()


def test_owners_of_cards_sign_a_request(people: Run, folder: Path) -> None:
    """They are not here, so that nothing can be published at once."""
    done = people("init", "repo", "--keys", "online")
    assert 2 == done.returncode
    assert "holdfast updates stage REQUEST init repo" in done.stderr
    without = people("stage", "first.json", "init", "repo")
    assert 2 == without.returncode
    assert "name a new folder for the keys of" in without.stderr

    staged = people("stage", "first.json", "init", "repo", "--keys", "online")
    assert "Ship repo/metadata/1.root.json with the application.\n" == staged.stdout
    assert ["pins-1.pem", "snapshot-1.pem", "timestamp-1.pem"] == sorted(
        file.name for file in (folder / "online").iterdir()
    )


def test_a_folder_that_no_key_is_made_in_is_not_named(people: Run, folder: Path) -> None:
    """It might hold something that is taken for new."""
    settings = folder / "repo" / "repository.toml"
    card = 'threshold = 1\nkeys = ["cards/alice.card.json"]\n'
    online = "".join(f"[role.{role}]\n{card}" for role in ("pins", "snapshot", "timestamp"))
    settings.write_text(settings.read_text() + online)

    done = people("stage", "first.json", "init", "repo", "--keys", "usb-alice")

    assert 2 == done.returncode
    assert "leave out --keys" in done.stderr
    assert (folder / "usb-alice" / "alice.pem").is_file()
    assert 0 == people("stage", "first.json", "init", "repo").returncode


def test_one_person_with_two_keys_is_refused(people: Run, folder: Path) -> None:
    """Under one name, or one key under two; the request is not written."""
    cards = folder / "repo" / "cards"
    people("new-key", "usb-second", "--owner", "alice")
    shutil.copy(folder / "usb-second" / "alice.card.json", cards / "bob.card.json")
    twice = people("stage", "first.json", "init", "repo", "--keys", "online")
    text = (cards / "alice.card.json").read_text()
    (cards / "bob.card.json").write_text(text.replace('"alice"', '"bob"'))
    same = people("stage", "first.json", "init", "repo", "--keys", "online")

    assert "alice has two keys" in twice.stderr
    assert "alice and bob have the same key" in same.stderr
    assert (2, 2) == (twice.returncode, same.returncode)
    assert not (folder / "first.json").exists()
