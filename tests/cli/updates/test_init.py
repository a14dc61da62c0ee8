import json
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
