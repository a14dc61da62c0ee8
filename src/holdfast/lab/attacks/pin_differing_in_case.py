"""A key whose pin differs from a pinned one in upper and lower case only.

    leaf (attacker's key) <- Rogue root (trusted)
    the policy pins, beside the honest key, the attacker's pin with its letters' case turned

A client that does not pin sees what it sees in `rogue_ca`, and talks.

A pinning client must compare digests, or their text to the letter: in base64 the case of a letter
is part of the value. Nobody can make such a key for a pin that is given, and the lab does it the
other way round: it makes the key first. A comparison that takes the two for equal is looking at
less of the digest than there is.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
STANDS_FOR = ("curl 81da4ee249, pins compared without case on reuse",)


def policy(stage: Stage) -> str:
    """Pin what differs from the attacker's key in case, as well."""
    algorithm, _, digest = _attacker(stage).spki_pin.partition("/")
    # The last letter stays: not each one is canonical there.
    turned = f"{algorithm}/{digest[:-2].swapcase()}{digest[-2:]}"
    return stage.policy_toml(pins=(stage.pin, turned))


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key."""
    return LabServer(_attacker(stage))


def _attacker(stage: Stage) -> Identity:
    """Return the same key for a stage each time: the one of the rogue root."""
    return stage.rogue.issue(stage.host, key=stage.rogue.key)
