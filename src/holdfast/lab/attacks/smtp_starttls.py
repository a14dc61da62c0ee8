"""The attacker's mail server, after STARTTLS.

    220 lab ESMTP / EHLO / STARTTLS, in the clear, then TLS:
    leaf (attacker's key) <- Rogue root (trusted)

A client that does not pin goes over to TLS, says EHLO again and would hand over its mail.

A pinning client must refuse in the handshake, and may not go on in the clear afterwards: what it
says then is password and mail. The pins have to hold on connections that begin without TLS.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.PROTOCOL
FOOLS_PLAIN = True
TRANSPORT = "smtp"


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key after STARTTLS."""
    return LabServer(stage.rogue.issue(stage.host), starttls="smtp")
