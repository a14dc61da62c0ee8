"""The host's name stands in a field for something else.

    leaf for attacker.example, of the organization "Attacker, CN=localhost" (attacker's key)
    <- Honest issuing CA (pinned) <- Honest root (trusted)

A client that does not pin, but verifies, compares the names that are there as names, and refuses.
This is the control for clients that look for "CN=" in the subject as text.

A pinning client, whose policy pins the CA here, must refuse: a CA does not ask what somebody calls
his company.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.issuance import certified_again
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2012-6153", "CVE-2014-3577")
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a certificate of a company with an odd name."""
    plain = stage.issuing.issue("attacker.example")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Attacker, CN={stage.host}"),
            x509.NameAttribute(NameOID.COMMON_NAME, "attacker.example"),
        ]
    )
    leaf = certified_again(plain.certificate, stage.issuing.signer, subject=subject)
    return LabServer(Identity(plain.key, (leaf, *plain.chain[1:])))
