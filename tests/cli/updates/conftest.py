import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import LEAF, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def updates(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `holdfast updates` with keys and passphrase."""
    (folder / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", str(folder / "passphrase"))
    write_policy(folder, LEAF)

    def updates(*words: object) -> subprocess.CompletedProcess[str]:
        return run("updates", *words)

    assert 0 == updates("init", "repo", "--keys", "keys", "--profile", "small").returncode
    return updates
