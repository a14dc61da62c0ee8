from pathlib import Path

import pytest

from holdfast.errors import PolicyError
from holdfast.updates.repository_file import SETTINGS, load_settings, write_settings
from holdfast.updates.roles import PROFILES


def test_settings_are_written_once(tmp_path: Path) -> None:
    """For all to read, since they are served; what is there before stays."""
    write_settings(tmp_path, PROFILES["small"])
    write_settings(tmp_path, PROFILES["bank"])

    assert PROFILES["small"] == load_settings(tmp_path).roles
    assert 0o644 == (tmp_path / SETTINGS).stat().st_mode & 0o777


@pytest.mark.parametrize("text", [None, "format =", "format = 2", "\ufeffformat = 1"])
def test_settings_that_cannot_be_used_are_told(tmp_path: Path, text: str | None) -> None:
    """With their file: nothing is signed for a number of days that nobody has written."""
    if text is not None:
        (tmp_path / SETTINGS).write_text(text, "utf-8")

    with pytest.raises(PolicyError, match=r"repository\.toml"):
        load_settings(tmp_path)
