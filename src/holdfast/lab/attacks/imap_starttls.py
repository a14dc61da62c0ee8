"""The attacker's IMAP server, after STARTTLS.

    * OK lab / CAPABILITY / STARTTLS, in the clear, then TLS:
    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin goes over to TLS and would log in.

A pinning client must refuse in the handshake, and may not go on in the clear afterwards. What holds
for mail that is sent holds for mail that is read: each protocol has its own way into TLS, and often
its own library.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True
TRANSPORT = "imap"


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key after STARTTLS."""
    return LabServer(stage.rogue.issue(stage.host), starttls="imap")
