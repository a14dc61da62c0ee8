"""The environment asks for the secrets of all connections.

    SSLKEYLOGFILE names a file that the attacker reads
    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)

A client that does not pin, and does as it is asked, writes the secrets of the connection to the
file: with them everybody who sees the connection can read it.

A pinning client must not write them there unless it is told to in a way that whoever merely sets a
variable does not have. The attacker has no server here: the client has to be at the honest one, and
what counts is what the file holds afterwards.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.lab.attack import AttackClass
from holdfast.lab.dialogues import overheard
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = True

_FILE = "secrets.log"


def environment(folder: Path) -> dict[str, str]:
    """Ask for the secrets."""
    return {"SSLKEYLOGFILE": str(folder / _FILE)}


def loot(folder: Path) -> bytes:
    """Return the lines with secrets, without the comments."""
    try:
        lines = (folder / _FILE).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return b""
    return b"".join(line for line in lines if line.strip() and not line.startswith(b"#"))


def rogue(stage: Stage) -> LabServer:
    """Be the honest server; whoever looks on is the attacker."""
    return LabServer(stage.server, dialogue=overheard)
