"""What a scorecard is filed with: which client, by which lab, and when."""

from __future__ import annotations

import hashlib
import platform
import shutil
import ssl
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["Evidence"]

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The circumstances of one run.

    Attributes:
        date: When it began.
        arguments: The options of the lab that shaped the run.
        versions: Of Holdfast, Python, OpenSSL and the system, by name.
        files: SHA-256, in hexadecimal, of the program and of each file that the command names.
        policies: SHA-256 of the policy that the client was given at first, by attack; or of the one
            that it was shipped with, under its path.
    """

    date: datetime
    arguments: tuple[str, ...]
    versions: dict[str, str]
    files: dict[str, str]
    policies: dict[str, str]

    @classmethod
    def gather(
        cls,
        command: Sequence[str],
        arguments: Sequence[str],
        policies: dict[str, str],
        date: datetime,
    ) -> Self:
        """Look at the command and at this machine.

        Args:
            command: The client's command line; its first word is looked up on $PATH.
            arguments: The options of the lab.
            policies: The digests of policies.
            date: Now.
        """
        program = shutil.which(command[0]) if command else None
        named = [Path(word) for word in ([program] if program else []) + list(command[1:])]
        return cls(
            date=date,
            arguments=tuple(arguments),
            versions={
                "holdfast": version("holdfast"),
                "python": platform.python_version(),
                "openssl": ssl.OPENSSL_VERSION,
                "system": platform.platform(),
            },
            files={str(file): sha256_of(file) for file in named if _is_file(file)},
            policies=policies,
        )

    def as_json(self) -> dict[str, object]:
        """Return everything as an object for JSON."""
        return asdict(self) | {"date": self.date.isoformat(timespec="seconds")}


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; of the file that a link leads to."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word that is no path, or leads where we may not look
        return False
