"""A CA with the pinned CA's public key, on a curve that the attacker has made for it.

    leaf (attacker's key) <- Honest issuing CA (the point of the pinned key, another base point),
                             which signs itself

A client that does not pin, but verifies, sees a CA that is not trusted, or a curve that it does not
know, and refuses. This is the control for clients that take a certificate for a known one when the
public keys are the same, and do not ask on which curve: to any point belongs a private key, if one
may choose the base point.

A pinning client, whose policy pins the CA here, must compare the whole SubjectPublicKeyInfo, with
the parameters that stand in it.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.lab.attack import AttackClass
from holdfast.lab.explicit_curve import CounterfeitKey
from holdfast.lab.issuance import certified_again
from holdfast.lab.key_encoding import spki_of, with_spki
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2020-0601",)
MASVS = ("MASVS-NETWORK-1",)


def pinned_ca(stage: Stage) -> str:
    """Pin the CA that issues the server's certificates."""
    return stage.issuing.spki_pin


def rogue(stage: Stage) -> LabServer:
    """Show the counterfeit, and a leaf that it certified."""
    original = stage.issuing.certificate
    counterfeit = CounterfeitKey.of(original.public_key())
    # All that is signed here is signed once more below, in the counterfeit's way.
    itself = certified_again(original, stage.rogue.signer._replace(certificate=None))
    ca = with_spki(itself, counterfeit.spki, counterfeit.sign)
    leaf = stage.issuing.issue(stage.host)
    signed = with_spki(leaf.certificate, spki_of(leaf.certificate), counterfeit.sign)
    return LabServer(replace(leaf, chain=(signed, ca)))
