"""The address that the client asks for stands in the certificate as a DNS name.

    https://127.0.0.1/
    leaf for the DNS name "127.0.0.1" (attacker's key) <- Honest issuing CA (pinned) <- Honest root

A client that does not pin, but verifies, looks for an address among the addresses, and refuses.
This is the control for clients that compare texts, whatever they are the text of.

A pinning client, whose policy pins the CA here, must refuse: a CA that certifies names below a
domain has not looked at who has an address.
"""

from __future__ import annotations

from cryptography import x509

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity
from holdfast.lab.issuance import certified_again
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = False
MASVS = ("MASVS-NETWORK-1",)
HOLDS = ("the CA's key",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def host(_stage: Stage) -> str:
    """Return the address that the server listens on, for which `Stage.server` is certified too."""
    return LOOPBACK


def rogue(stage: Stage) -> LabServer:
    """Show a certificate for a name that looks like the address."""
    plain = stage.issuing.issue("attacker.example")
    name = x509.SubjectAlternativeName([x509.DNSName(LOOPBACK)])
    names = x509.Extension(name.oid, critical=False, value=name)
    leaf = certified_again(plain.certificate, stage.issuing.signer, extensions=[names])
    return LabServer(Identity(plain.key, (leaf, *plain.chain[1:])))
