"""Pinned certificates as the only trust anchors of a stack that can be given nothing else.

A policy holds digests, and a root is a whole certificate: the anchors of a private set, or
certificates that the caller brings along and that have pins of the set. Nothing here makes a
connection.

1. A certificate without a pin of the set is never made a root, nor one with a denied key.
2. A certificate with a leaf pin has to say that it is no CA, and one with a CA pin that it is one:
   as a root, a leaf that may sign would vouch for others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.pem import certificate_text
from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement.clients.one_host import lost_anywhere, pin_set_of
from holdfast.errors import LossError, PinnedContextError
from holdfast.formats.loss import Effect, Loss, LossKind, refuse_losses
from holdfast.pins.chain import ChainCertificate
from holdfast.pins.interfaces import PolicySource
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Digests, PinSet, Require, Trust, place_of
from holdfast.pins.policy import Policy

__all__ = ["PinnedRoots", "RootStack", "pinned_roots"]


@dataclass(frozen=True, slots=True)
class RootStack:
    """A stack that takes roots.

    Attributes:
        title: What it is called.
        takes_any: Whether a certificate that does not sign itself may end a path.
    """

    title: str
    takes_any: bool


@dataclass(frozen=True, slots=True)
class PinnedRoots:
    """What such a stack is given for one host.

    Attributes:
        certificates: The roots as DER, at least one.
        losses: What of the policy they do not hold.
    """

    certificates: tuple[bytes, ...]
    losses: tuple[Loss, ...]

    @property
    def pem(self) -> str:
        """Return the roots as PEM."""
        return "".join(map(certificate_text, self.certificates))


def pinned_roots(
    policy: PolicySource,
    host: str,
    stack: RootStack,
    *,
    certificates: str | os.PathLike[str] | None = None,
    strict: bool = False,
) -> PinnedRoots:
    """Return the roots that stand for the pins of a host.

    Args:
        policy: A `Policy`, or a source, whose policy of now is taken.
        host: The host that is connected to.
        stack: What they are for.
        certificates: A PEM file of pinned certificates; not needed for a private set without pins.
        strict: Whether losses that change who is connected to are an error.

    Raises:
        CertificateError: The file has no certificate, or one that cannot be read.
        HostNameError: The host is none.
        LossError: Nothing of the set can be held, or `strict` refuses what is lost.
        PinnedContextError: No set covers the host, or a certificate must not be a root for it.
    """
    current, pin_set = pin_set_of(policy, host)
    place = place_of(pin_set.name)
    if certificates is not None:
        given = tuple(map(chain_certificate, load_chain(certificates)))
        roots = tuple(given)
        for number, root in enumerate(roots, 1):
            _refuse_unfit(root, f"certificate {number} of {os.fspath(certificates)}", pin_set)
    elif pin_set.trust is Trust.PRIVATE:
        given, roots = (), tuple(map(chain_certificate, pin_set.anchors))
    else:
        raise LossError(
            f"{stack.title} takes whole certificates as roots, and {place} holds only digests",
            hint="pass a PEM file with the pinned certificates, or give the set private trust "
            "and anchors",
        )
    roots = tuple(root for root in roots if root.spki_sha256 not in current.denied_digests)
    if not roots:
        raise LossError(f"{place}: each certificate that could be a root has a denied key")
    for root in roots:
        if not stack.takes_any and not _signs_itself(root.der):
            raise LossError(
                f"{stack.title} ends a path only at a certificate that signs itself",
                hint="pin the root of the path, or let the server have a self-signed certificate",
            )
    losses = (
        *lost_anywhere(current, pin_set, stack.title),
        *_lost(current, pin_set, given, stack.title),
    )
    if strict:
        refuse_losses(losses)
    return PinnedRoots(tuple(dict.fromkeys(root.der for root in roots)), losses)


def _refuse_unfit(certificate: ChainCertificate, what: str, pin_set: PinSet) -> None:
    """Refuse a certificate as a root that would accept more than the set does."""
    is_leaf, is_ca = (
        _is_among(digests, certificate) for digests in (pin_set.leaf_digests, pin_set.ca_digests)
    )
    if not is_leaf and not is_ca:
        raise PinnedContextError(
            f"{what} has no pin of {place_of(pin_set.name)}",
            hint="leave it out: as a root it would let through what the policy refuses",
        )
    says_ca = _says_ca(certificate.der)
    if says_ca is not is_ca:
        raise PinnedContextError(
            f"{what} is pinned as a {'CA' if is_ca else 'leaf'}, and its basicConstraints do not "
            "say that it is one",
            hint="as a root it would vouch for others" if says_ca else "pin another certificate",
        )


def _lost(
    policy: Policy, pin_set: PinSet, given: tuple[ChainCertificate, ...], title: str
) -> Iterator[Loss]:
    place = place_of(pin_set.name)

    def loss(kind: LossKind, effect: Effect, key: str, consequence: str) -> Loss:
        return Loss(
            kind=kind,
            effect=effect,
            place=f"{place}.{key}",
            consequence=consequence,
            subject=pin_set.name,
        )

    if not given:
        if pin_set.pins:
            consequence = f"{title} accepts any server below the anchors, whatever its key"
            yield loss(LossKind.KEY_PINS, Effect.LETS_THROUGH, "anchors", consequence)
        return
    if pin_set.require is Require.LEAF_AND_CA:
        consequence = f"for {title} one of both is enough, the leaf or the CA"
        yield loss(LossKind.LEAF_AND_CA, Effect.LETS_THROUGH, "require", consequence)
    if pin_set.trust is not Trust.PINS_ONLY:
        consequence = (
            f"{title} does not verify what stands above a pinned certificate, up to the "
            "anchors of the set"
        )
        yield loss(LossKind.CHAIN, Effect.LETS_THROUGH, "trust", consequence)
    for key, pins in (("leaf", pin_set.leaf), ("backup", pin_set.backup), ("ca", pin_set.ca)):
        wanted = [pin for pin in pins if pin.digest not in policy.denied_digests]
        if any(not _is_held(pin, given) for pin in wanted):
            consequence = f"{title} refuses a server that shows one whose certificate was not given"
            yield loss(LossKind.KEY_PINS, Effect.REFUSES, key, consequence)
        elif key != "ca" and any(pin.algorithm is PinAlgorithm.SPKI for pin in wanted):
            consequence = f"{title} refuses a renewed certificate with the same key"
            yield loss(LossKind.KEY_PINS, Effect.REFUSES, key, consequence)


def _is_held(pin: Pin, given: tuple[ChainCertificate, ...]) -> bool:
    return any(_is_among(Digests.of((pin,)), certificate) for certificate in given)


def _is_among(digests: Digests, certificate: ChainCertificate) -> bool:
    return certificate.spki_sha256 in digests.spki or certificate.cert_sha256 in digests.certificate


def _signs_itself(der: bytes) -> bool:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    return certificate.issuer == certificate.subject


def _says_ca(der: bytes) -> bool | None:
    """Return what basicConstraints say; None where there are none."""
    from cryptography import x509

    try:
        extensions = x509.load_der_x509_certificate(der).extensions
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return None
