"""What a refusal saw, as one word that can be counted, and in plain words.

It is said what was observed, never what it means: a mis-issued certificate looks exactly like a
rotation that nobody announced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.certificates.describe import describe
from holdfast.pins.chain import PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.pin_set import Digests, Trust
from holdfast.pins.verdict import Observed, Outcome, Verdict

if TYPE_CHECKING:
    from holdfast.pins.chain import ChainCertificate
    from holdfast.pins.pin_set import PinSet

# X509_V_ERR_... of OpenSSL (x509_vfy.h). Another verifier's answer is given as such a code.
_BY_VERIFY_CODE = {
    9: Observed.CLOCK,  # CERT_NOT_YET_VALID
    10: Observed.CLOCK,  # CERT_HAS_EXPIRED
    18: Observed.SELF_SIGNED,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: Observed.SELF_SIGNED,  # SELF_SIGNED_CERT_IN_CHAIN
    62: Observed.WRONG_HOST,  # HOSTNAME_MISMATCH
    64: Observed.WRONG_HOST,  # IP_ADDRESS_MISMATCH
}

IN_PLAIN_WORDS = {
    Observed.NEW_KEY: (
        "a key that the pin set does not know, on a path that verifies: "
        "a rotation or a mis-issued certificate, which look the same from here"
    ),
    Observed.NEW_ISSUER: (
        "a path through none of the expected CAs: "
        "a change of CA or a mis-issued certificate, which look the same from here"
    ),
    Observed.PRIVATE_ANCHOR: (
        "a path to an anchor that is not a public one, but was added to this client: "
        "an inspection proxy, a test CA or an attacker's CA, which look the same from here"
    ),
    Observed.OTHER_PATH: (
        "a certificate with a pin of the set was sent, but the path that verifies does not lead "
        "through it: a path to another anchor or a foreign chain with that certificate added, "
        "which look the same from here"
    ),
    Observed.CLOCK: (
        "a certificate outside its validity at the time here: a wrong clock, one that "
        "was not renewed or an old one shown again, which look the same from here"
    ),
    Observed.WRONG_HOST: (
        "a certificate made out for other names: "
        "a server set up wrongly or someone else's server, which look the same from here"
    ),
    Observed.EXPIRED_PINS: (
        "no pin of the set, after the set expired: "
        "a rotation since then or a mis-issued certificate, which look the same from here"
    ),
    Observed.DENIED_KEY: (
        "a key that must never be accepted: its owner and a thief who has it look the same "
        "from here"
    ),
    Observed.SELF_SIGNED: (
        "a certificate that vouches for itself: anyone can make one in any name, "
        "so that a device's new one and an attacker's look the same from here"
    ),
    Observed.UNKNOWN: "nothing that tells the causes apart",
}


def observe(
    verdict: Verdict,
    *,
    presented: PresentedChain | None = None,
    anchor_is_public: bool | None = None,
    verify_code: int | None = None,
) -> Observed:
    """Say what a refusal, or what would have been one, saw.

    Args:
        verdict: The decision.
        presented: What the server sent, if it is known.
        anchor_is_public: Whether the path's anchor is a public root, if it is known.
        verify_code: Why the chain is untrusted (`SSLCertVerificationError.verify_code`).

    Returns:
        The observation; unknown also for a verdict that refuses nothing.
    """
    match verdict.outcome:
        case Outcome.DENIED:
            return Observed.DENIED_KEY
        case Outcome.UNTRUSTED:
            return observed_by_verifier(verify_code)
        case Outcome.EXPIRED:
            return Observed.EXPIRED_PINS
        case Outcome.MISMATCH if verdict.pin_set is not None:
            path = path_of(verdict)
            return _mismatch(verdict.pin_set, path, presented, anchor_is_public=anchor_is_public)
        case _:
            return Observed.UNKNOWN


def observed_by_verifier(verify_code: int | None) -> Observed:
    """Return what stood in the way of a chain that did not verify, by OpenSSL's number for it."""
    return _BY_VERIFY_CODE.get(verify_code or 0, Observed.UNKNOWN)


def path_of(verdict: Verdict) -> tuple[ChainCertificate, ...]:
    """Return the certificates that were judged, leaf first: none when no path was verified."""
    match verdict.chain:
        case VerifiedChain(certificates):
            return certificates
        case ProvenLeaf(certificate):
            return (certificate,)
        case _:
            return ()


def sent(verdict: Verdict, presented: PresentedChain | None) -> tuple[ChainCertificate, ...]:
    """Return what the server sent, wherever it was noted."""
    chain = verdict.chain if isinstance(verdict.chain, PresentedChain) else presented
    return chain.certificates if chain else ()


def pinned_as(pin_set: PinSet, certificate: ChainCertificate) -> tuple[str, ...]:
    """Return the lists of the set that have a pin of the certificate, whatever its place.

    They are called `leaf`, `backup` and `ca`, as in the policy.
    """
    lists = {"leaf": pin_set.leaf, "backup": pin_set.backup, "ca": pin_set.ca}
    return tuple(name for name, pins in lists.items() if is_among(Digests.of(pins), certificate))


def is_among(digests: Digests, certificate: ChainCertificate) -> bool:
    """Tell whether the key or the whole certificate is pinned."""
    return certificate.spki_sha256 in digests.spki or certificate.cert_sha256 in digests.certificate


def sent_beside(
    path: tuple[ChainCertificate, ...], presented: PresentedChain | None
) -> tuple[ChainCertificate, ...]:
    """Return what was sent but is not on the path."""
    on_path = {certificate.der for certificate in path}
    sent = presented.certificates if presented else ()
    return tuple(certificate for certificate in sent if certificate.der not in on_path)


def _mismatch(
    pin_set: PinSet,
    path: tuple[ChainCertificate, ...],
    presented: PresentedChain | None,
    *,
    anchor_is_public: bool | None,
) -> Observed:
    """Name the first that applies, beginning with what whoever answered could influence least."""
    # 1. Which anchors are public is known from our own list. This goes before what was sent: an
    #    interceptor that sends the real certificates along would otherwise choose the milder word.
    if anchor_is_public is False and pin_set.trust is Trust.PUBLIC:
        return Observed.PRIVATE_ANCHOR
    # 2. Narrower than "new": the pinned thing still exists, and was only not part of the path.
    if any(pinned_as(pin_set, certificate) for certificate in sent_beside(path, presented)):
        return Observed.OTHER_PATH
    # 3. The issuer before the key: where CAs are pinned, leaf keys may change at will.
    if pin_set.trust is Trust.PRIVATE and path[-1].der not in pin_set.anchors:
        return Observed.NEW_ISSUER
    if pin_set.ca and not any(is_among(pin_set.ca_digests, issuer) for issuer in path[1:]):
        return Observed.NEW_ISSUER
    # 4. A new key like any other, but nobody else vouches for it.
    if len(path) == 1 and _is_its_own_issuer(path[0]):
        return Observed.SELF_SIGNED
    return Observed.NEW_KEY


def _is_its_own_issuer(certificate: ChainCertificate) -> bool:
    description = describe(certificate.der)
    # Two unreadable names say nothing about each other.
    is_readable = description.subject and not description.subject.startswith("unreadable: ")
    return bool(is_readable) and description.subject == description.issuer
