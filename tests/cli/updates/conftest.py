import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.updates.policy_file import LEAF, write_policy

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def updates(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `holdfast updates` with keys and passphrase.

    What is published is published as where no server can be reached and all of it is meant; the
    gates have tests of their own.
    """
    (folder / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", str(folder / "passphrase"))
    write_policy(folder, LEAF)

    def updates(*words: object) -> subprocess.CompletedProcess[str]:
        meant = ("--skip-live", "--emergency") if words[0] in {"publish", "new-epoch"} else ()
        return run("updates", *words, *meant)

    assert 0 == updates("init", "repo", "--keys", "keys", "--profile", "small").returncode
    return updates
