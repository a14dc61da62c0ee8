"""Another library has replaced what is in `ssl`, to make it cooperate.

    gevent.monkey.patch_all(), before the client is imported
    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin does not notice, and talks.

A pinning client must not lose its check: gevent's contexts make gevent's sockets, not those that a
context was told to make, and their handshake is another one.

The attack is for clients in a Python that has gevent. The control is patched in the same way and
has to work: a client that does not work when patched is not attacked.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.lab.attack import AttackClass
from holdfast.lab.patched_python import patched_python, was_patched
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True
MAY_DECLINE = "the client is not in Python, has no gevent at hand, or does not work with it"

_PATCH = "from gevent import monkey; monkey.patch_all()"


def environment(folder: Path) -> dict[str, str]:
    """Have each Python that the client starts patch itself first."""
    return patched_python(folder, _PATCH)


def in_effect(folder: Path) -> bool:
    """Tell whether some Python did."""
    return was_patched(folder)


def rogue(stage: Stage) -> LabServer:
    """Show what the rogue root issued for the name."""
    return LabServer(stage.rogue.issue(stage.host))
