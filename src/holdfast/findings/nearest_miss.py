"""What on a path came closest to satisfying a pin set: the places to look at first.

A pin is a digest. That a new key stands under the name of a pinned one cannot be known from it, so
nothing here compares names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.certificates.describe import describe
from holdfast.findings.escape import escaped
from holdfast.findings.observed import is_among, pinned_as, sent_beside
from holdfast.pins.pin_set import PinSet, Require, Trust

if TYPE_CHECKING:
    from holdfast.pins.chain import ChainCertificate, PresentedChain

_SUBJECT_LIMIT = 80
_SENT_LIMIT = 3  # anyone can send as many as they like


@dataclass(frozen=True, slots=True)
class NearMiss:
    """Positions on the path (none for what is not on it), and what is the matter with them."""

    positions: tuple[int, ...]
    text: str


def nearest_misses(
    pin_set: PinSet, path: tuple[ChainCertificate, ...], presented: PresentedChain | None
) -> list[NearMiss]:
    """Find what a path that does not satisfy the set has of it, else where its pins belong.

    Args:
        pin_set: The set that is not satisfied.
        path: What was judged, leaf first.
        presented: What the server sent, if it is known.
    """
    found = [
        *_foreign_anchor(pin_set, path),
        *_wrong_role(pin_set, path),
        *_only_sent(pin_set, path, presented),
        *_half(pin_set, path),
    ]
    return found or _where_pins_belong(pin_set, path)


def _foreign_anchor(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> list[NearMiss]:
    last = len(path) - 1
    if pin_set.trust is not Trust.PRIVATE or path[last].der in pin_set.anchors:
        return []
    return [NearMiss((last,), f"{last} ends the path and is no anchor of the set")]


def _wrong_role(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> list[NearMiss]:
    found = []
    for position, certificate in enumerate(path):
        lists = pinned_as(pin_set, certificate)
        if position == 0 and "ca" in lists:
            found.append(NearMiss((0,), "0 has a `ca` pin, which does not match a leaf"))
        if position and (misplaced := next((name for name in lists if name != "ca"), None)):
            text = f"{position} has a `{misplaced}` pin, which does not match a CA"
            found.append(NearMiss((position,), text))
    return found


def _only_sent(
    pin_set: PinSet, path: tuple[ChainCertificate, ...], presented: PresentedChain | None
) -> list[NearMiss]:
    found = []
    for certificate in sent_beside(path, presented):
        if lists := pinned_as(pin_set, certificate):
            subject = escaped(describe(certificate.der).subject, _SUBJECT_LIMIT)
            text = f"{subject} has a `{lists[0]}` pin and was sent, but is not on the path"
            found.append(NearMiss((), text))
    return found[:_SENT_LIMIT]


def _half(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> list[NearMiss]:
    """Find the half that is missing where both a leaf and a CA are asked for."""
    if pin_set.require is not Require.LEAF_AND_CA:
        return []
    issuers = tuple(range(1, len(path)))
    if is_among(pin_set.leaf_digests, path[0]):
        return [NearMiss(issuers, "the leaf has its pin, but no CA on the path has a `ca` pin")]
    if any(is_among(pin_set.ca_digests, path[position]) for position in issuers):
        return [NearMiss((0,), "a CA has its pin, but the leaf has no `leaf` or `backup` pin")]
    return []


def _where_pins_belong(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> list[NearMiss]:
    found = []
    if pin_set.leaf or pin_set.backup:
        text = "0 is where a `leaf` or `backup` pin belongs, and has another key"
        found.append(NearMiss((0,), text))
    if pin_set.ca and len(path) > 1:
        text = "a `ca` pin belongs on any place after 0, and each has another key"
        found.append(NearMiss(tuple(range(1, len(path))), text))
    if pin_set.ca and len(path) == 1:
        found.append(NearMiss((), "a `ca` pin belongs on a place after 0, and there is none"))
    return found
