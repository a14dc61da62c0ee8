"""Two CAs of one name are sent, and the leaf is signed by the other one.

    leaf (attacker's key) <- Honest issuing CA (attacker's key) <- Rogue root (trusted)
    + Honest issuing CA (pinned) <- Honest root, sent along; its name and key identifier are those
      of the copy, so that by name the leaf leads to it as well

A client that does not pin finds the valid path to a trusted root, and talks.

A pinning client, whose policy pins the CA here, must match on the path whose signatures were
checked. Who verifies first, and then walks through what was sent from name to name, may take the
other turn and come past the pin.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Authority, new_key
from holdfast.lab.issuance import certified_again
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2016-2402",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Send the copy, and the original behind it."""
    key = new_key()
    copied = certified_again(stage.issuing.certificate, stage.rogue.signer, key=key)
    return LabServer(
        Authority(key, copied).issue(stage.host).with_chain(copied, stage.issuing.certificate)
    )
