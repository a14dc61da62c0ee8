"""A leaf that signs itself.

    leaf (attacker's key) <- itself

A client that does not pin, but verifies, finds no trusted root and refuses. This is the control for
clients whose verification was switched off, on purpose or by another part of the program: anybody
can make this certificate.

A pinning client must refuse, also where nothing but its pins protects it.
"""

from __future__ import annotations

from holdfast.lab import authorities
from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2014-7143", "CVE-2014-9365", "CVE-2016-9015", "CVE-2024-35195")
MASVS = ("MASVS-NETWORK-1",)


def rogue(stage: Stage) -> LabServer:
    """Show a certificate that is its own issuer."""
    return LabServer(authorities.self_signed(stage.host))
