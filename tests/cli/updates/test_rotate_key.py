import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import OTHER, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_role_gets_new_keys(updates: Run, folder: Path) -> None:
    """They are made, and the old ones are of no use any more."""
    updates("publish", "repo", "--keys", "keys", "--rules")

    done = updates("rotate-key", "repo", "pins", "--new-keys", "fresh", "--keys", "keys")
    write_policy(folder, OTHER)

    assert 0 == done.returncode
    assert ["pins-1.pem"] == [file.name for file in (folder / "fresh").iterdir()]
    assert 2 == updates("publish", "repo", "--keys", "keys").returncode
    assert 0 == updates("publish", "repo", "--keys", "keys", "--keys", "fresh").returncode


def test_new_keys_that_nobody_signed_are_removed(updates: Run, folder: Path) -> None:
    """They would look like keys that protect something."""
    for file in (folder / "keys").glob("targets-*.pem"):
        file.unlink()

    done = updates("rotate-key", "repo", "pins", "--new-keys", "fresh", "--keys", "keys")

    assert 2 == done.returncode
    assert not (folder / "fresh").exists()


def test_a_passphrase_is_read_once(updates: Run, folder: Path) -> None:
    """A pipe, as a password manager gives it, has nothing to say a second time."""
    reading, writing = os.pipe()
    os.write(writing, b"correct horse\n")
    os.close(writing)
    done = updates(
        *("rotate-key", "repo", "pins", "--new-keys", "fresh", "--keys", "keys"),
        *("--passphrase-file", f"/dev/fd/{reading}"),
    )
    os.close(reading)

    assert 0 == done.returncode, done.stderr
    assert 0 == updates("resign", "repo", "--keys", "keys", "--keys", "fresh").returncode


def test_a_role_gets_the_keys_of_cards(ceremony: Run, folder: Path) -> None:
    """Those that are listed, with the threshold that is; former and new ones sign."""
    assert 0 == ceremony("new-key", "usb-dave", "--owner", "dave").returncode
    shutil.copy(folder / "usb-dave" / "dave.card.json", folder / "repo" / "cards")
    settings = folder / "repo" / "repository.toml"
    head, root, rest = settings.read_text().partition("[role.root]\n")
    settings.write_text(head + root + "threshold = 3\n" + rest.replace("carol", "dave", 1))
    assert "by repository.toml of alice, bob, dave" in ceremony("status", "repo").stdout

    staged = ceremony("stage", "r.json", "rotate-key", "repo", "root")
    assert "Destroy the old ones once the request is published." in staged.stdout
    for name in ("alice", "bob", "dave"):
        assert 0 == ceremony("sign", "r.json", "--keys", f"usb-{name}", "--yes").returncode
    done = ceremony("publish", "repo", "--staged", "r.json", "--keys", "online")

    assert "Published root, snapshot, timestamp.\n" == done.stdout
    status = ceremony("status", "repo").stdout
    assert "3 of alice, bob, dave" in status
    assert "repository.toml" not in status


def test_a_role_gets_the_keys_of_cards_that_are_named(updates: Run, folder: Path) -> None:
    """At once, where its new key is at hand; as many as there are to be."""
    updates("new-key", "usb-dave", "--owner", "dave")
    card = ("--new-key", "usb-dave/dave.card.json")

    elsewhere = updates("rotate-key", "repo", "pins", *card, "--keys", "keys")
    done = updates("rotate-key", "repo", "pins", *card, "--keys", "keys", "--keys", "usb-dave")
    few = updates("rotate-key", "repo", "root", *card, "--keys", "keys")

    assert "pins takes 1 of its 1 keys, and 0 are here: there are also those of dave" in (
        elsewhere.stderr
    )
    assert "pins has new keys, signed by targets, pins, snapshot, timestamp." in done.stdout
    assert "root has 2 keys, and 1 are new" in few.stderr
    assert "1 of dave" in updates("status", "repo").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--new-keys", "fresh"), "the keys of root are those of cards"),
        (("--new-key", "usb-alice/alice.card.json"), "lists other cards for root"),
        (("--new-key", "none.card.json"), "none.card.json"),
    ],
)
def test_cards_that_are_listed_count(ceremony: Run, words: tuple[str, ...], told: str) -> None:
    """What is written down and what is asked for do not differ."""
    done = ceremony("rotate-key", "repo", "root", *words, "--keys", "usb-alice")

    assert 2 == done.returncode
    assert told in done.stderr


def test_new_keys_come_from_somewhere(updates: Run) -> None:
    """Cards or a folder."""
    done = updates("rotate-key", "repo", "pins", "--keys", "keys")

    assert 2 == done.returncode
    assert "--new-key" in done.stderr
