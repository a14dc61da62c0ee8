import os
import subprocess
from collections.abc import Callable
from pathlib import Path

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
