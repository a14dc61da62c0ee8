"""A certificate with a condition that the client does not know.

    leaf (attacker's key, a critical extension that nobody knows) <- Honest issuing CA (pinned)
                                                                  <- Honest root (trusted)

A client that does not pin, but verifies, does not know what the extension asks for, and refuses, as
RFC 5280 section 4.2 wants it. This is the control for clients that skip what they do not know.

A pinning client, whose policy pins the CA here, must refuse: with such an extension a CA says for
what alone a certificate is good, and this is for something else.
"""

from __future__ import annotations

from cryptography import x509

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.issuance import certified_again
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)

# Below the arc for documentation, 2.999 (ITU-T X.660).
_NOBODY_KNOWS = x509.ObjectIdentifier("2.999.1")


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a certificate with an extension of the lab's own."""
    plain = stage.issuing.issue(stage.host)
    value = x509.UnrecognizedExtension(_NOBODY_KNOWS, b"\x05\x00")
    condition = x509.Extension(_NOBODY_KNOWS, critical=True, value=value)
    leaf = certified_again(plain.certificate, stage.issuing.signer, extensions=[condition])
    return LabServer(Identity(plain.key, (leaf, *plain.chain[1:])))
