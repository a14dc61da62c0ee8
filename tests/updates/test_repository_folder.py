from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from tests.updates.followed_repository import Keys
from tests.updates.signed_repository import NOW


def test_a_folder_that_is_in_use_is_left_alone(folder: Path, keys: Keys) -> None:
    """A repository is never made over another."""
    with pytest.raises(UpdateError, match="not empty"):
        Publisher.created(folder, keys, PROFILES["small"], NOW)


def test_what_is_no_repository_is_told(tmp_path: Path, folder: Path) -> None:
    """With how one is made; a damaged one too."""
    (folder / "metadata" / "timestamp.json").write_text("{}")
    for path in (tmp_path / "nothing", folder):
        with pytest.raises(UpdateError, match="updates init"):
            Publisher.opened(path, {}, NOW)
