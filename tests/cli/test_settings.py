from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.cli.settings import given_settings, policy_if_there
from holdfast.errors import PolicyError
from holdfast.pins.settings_document import Settings

POLICY = '[holdfast]\nformat = 1\nunlisted = "refuse"\n'


@pytest.mark.usefixtures("folder")
def test_without_a_file_the_defaults_count() -> None:
    """Nobody needs settings."""
    assert Settings() == given_settings(None)


def test_the_default_file_is_read_where_it_is_there(folder: Path) -> None:
    """A mistake in it is an error, not a reason to do without."""
    (folder / "holdfast.toml").write_text("exceptions = []")
    with pytest.raises(PolicyError, match="did you mean exception"):
        given_settings(None)


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_named_has_to_be_there() -> None:
    """Settings that somebody asked for are not passed over."""
    with pytest.raises(PolicyError, match="cannot be read"):
        given_settings(Path("mine.toml"))


def test_the_policy_is_optional_under_its_default_name_only(folder: Path) -> None:
    """A named one has to be there, and one that is there is read."""
    assert policy_if_there(Path("pins.toml")) is None
    with pytest.raises(PolicyError, match="cannot be read"):
        policy_if_there(Path("mine.toml"))

    (folder / "pins.toml").write_text(POLICY)
    assert policy_if_there(Path("pins.toml")) is not None
