"""The settings and the policy beside them, for commands that work without either."""

from __future__ import annotations

from pathlib import Path

from holdfast.certificates.load_policy import load_policy
from holdfast.certificates.load_settings import load_settings
from holdfast.cli.options import DEFAULT_POLICY, DEFAULT_SETTINGS
from holdfast.pins.policy import Policy
from holdfast.pins.settings_document import Settings


def given_settings(path: Path | None) -> Settings:
    """Return the settings of `--config`; without it those of the default file, if it is there.

    Raises:
        PolicyError: The file cannot be read or has a mistake.
    """
    file = settings_file(path)
    return Settings() if file is None else load_settings(file)


def settings_file(path: Path | None) -> Path | None:
    """Return the file of `--config`; without it the default one, or None where it is not there."""
    default = Path(DEFAULT_SETTINGS)
    return path or (default if default.exists() else None)


def policy_if_there(path: Path) -> Policy | None:
    """Return the policy of `--policy`, or None when the default file is meant and is not there.

    Raises:
        PolicyError: The file cannot be read or has a mistake.
    """
    return None if path == Path(DEFAULT_POLICY) and not path.exists() else load_policy(path)
