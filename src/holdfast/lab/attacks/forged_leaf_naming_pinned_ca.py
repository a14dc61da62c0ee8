"""A leaf that names the pinned CA as its issuer, with a signature that is not the CA's.

    leaf (attacker's key) <-x- Honest issuing CA (pinned) <- Honest root (trusted)
                           the signature was made by another key

A client that does not pin, but verifies, sees a wrong signature and refuses: nobody is fooled who
checks signatures. This is the control for clients that switched verification off because they pin.
Without it OpenSSL still builds this path, by name alone, and calls it verified.

A pinning client, whose policy pins the CA here, must not count a CA whose signature nobody checked.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Identity, new_key
from holdfast.lab.issuance import Signer, Validity, leaf_certificate
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = False
STANDS_FOR = ("hysteria before 2.6.4, pinSHA256 with insecure",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show a leaf with a forged signature, and the CA that it names."""
    key, forger = new_key(), Signer(new_key(), stage.issuing.certificate)
    leaf = leaf_certificate([stage.host], None, key, forger, Validity.of(None, None), "server")
    return LabServer(Identity(key, (leaf, stage.issuing.certificate)))
