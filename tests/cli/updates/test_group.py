import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("init", "repo", "--keys", "more"), "not empty"),
        (("init", "other", "--keys", "keys"), "exists"),
        (("publish", "nowhere", "--keys", "keys"), "updates init"),
        (("publish", "repo", "--keys", "keys", "--policy", "none.toml"), "none.toml"),
        (("publish", "repo"), "--keys"),
        (("publish", "repo", "--keys", "nowhere"), "no folder with keys"),
        (("breakglass", "repo", "api", "--keys", "keys"), "--until"),
        (("breakglass", "repo", "api", "--until", "soon", "--keys", "keys"), "not a time"),
        (("rotate-key", "repo", "nobody", "--new-keys", "n", "--keys", "keys"), "nobody"),
        (("resign", "repo", "--keys", "keys", "--passphrase-file", "pins.toml"), "passphrase"),
    ],
)
def test_mistakes_are_told(updates: Run, words: tuple[str, ...], told: str) -> None:
    """Each is bad input, with its place, and changes nothing."""
    done = updates(*words)

    assert 2 == done.returncode
    assert told in done.stderr


def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help is there without it."""
    for name in ("publisher", "repository", "signed_files"):
        monkeypatch.delitem(sys.modules, f"holdfast.updates.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "tuf.api.metadata", None)

    done = run("updates", "status", "repo")

    assert 2 == done.returncode
    assert "the package tuf\n" in done.stderr
    assert "pip install 'holdfast[updates]'" in done.stderr
    assert 0 == run("updates", "status", "--help").returncode
