from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.updates.publication_lock import publishing


def test_what_a_kill_has_left_is_removed(tmp_path: Path) -> None:
    """Half-written files, and nothing else: what is served is nobody's to remove."""
    for name in ("metadata/timestamp.json", "targets/pins/1.bundle.json", "kept.new"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        (tmp_path / f"{name}.new").touch()
    with publishing(tmp_path):
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.new")}

    assert {"kept.new", "kept.new.new"} == left
    assert (tmp_path / "metadata" / "timestamp.json").exists()


def test_what_is_no_repository_gets_no_lock(tmp_path: Path) -> None:
    """A mistyped folder stays as it is."""
    with pytest.raises(UpdateError, match="no repository"), publishing(tmp_path):
        pass

    assert [] == list(tmp_path.iterdir())
