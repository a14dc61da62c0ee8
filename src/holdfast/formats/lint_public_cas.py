"""Lint of pins on keys of public CAs: what the CAs have announced, and what hangs on one of them.

Which pin is a public root's is told by the roots that are handed in; which CA a key in a live chain
belongs to, by the certificate that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from holdfast.facts.public_cas import PUBLIC_CAS, ca_of
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_keys import ONE_CA
from holdfast.formats.lint_rule import Rule
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, Require, Trust

INTERMEDIATE = Rule(
    "HF119",
    Severity.WARNING,
    "An intermediate of a public CA is pinned",
    "This CA changes its intermediates by itself. The next renewal may come from another one, "
    "which has no pin. Only a look at the live chain tells such a pin.",
    "https://letsencrypt.org/certificates/",
)
NEW_ROOTS = Rule(
    "HF128",
    Severity.WARNING,
    "Roots of a CA whose new roots are entering the stores",
    "The path that a client verifies ends in the first anchor of its own store. With the new root "
    "in the store it ends there, and the pinned one is not on it any more: so a browser lost its "
    "own services when intermediates became anchors (brave-browser#52059).",
    "https://letsencrypt.org/2025/11/24/gen-y-hierarchy.html",
)
RULES = (INTERMEDIATE, NEW_ROOTS)

PublicRoots = Mapping[Pin, "PublicRoot"]
Told = Callable[[Rule, str, str], Finding]


class PublicRoot(NamedTuple):
    """A root of the public trust stores.

    Attributes:
        name: Its subject, for people.
        organization: Whose it is, as the certificate says.
    """

    name: str
    organization: str


def set_findings(pin_set: PinSet, roots: PublicRoots) -> Iterator[Finding]:
    """Find a pin set without a way past one public CA, or with roots that are being replaced."""
    is_needed = pin_set.require is Require.LEAF_AND_CA or not (pin_set.leaf or pin_set.backup)
    if pin_set.trust is Trust.PUBLIC and is_needed and pin_set.ca:
        yield from findings_of(
            pin_set.ca,
            roots,
            lambda rule, reason, action: rule.in_set(pin_set.name, "ca", reason, action),
        )


def findings_of(pins: Sequence[Pin], roots: PublicRoots, told: Told) -> Iterator[Finding]:
    """Find what hangs on one public CA.

    Args:
        pins: Those of which one has to match.
        roots: The public roots, by pin.
        told: Makes a finding of a rule, a reason and what to do.
    """
    named = [roots[pin] for pin in pins if pin in roots]
    owners = {_owner(root) for root in named}
    if len(pins) > 1 and len(named) == len(pins) and len(owners) == 1:
        yield told(
            ONE_CA,
            f"every pin is a root of {owners.pop()}",
            "pin a root of each CA that the host may use, or an own key beside them",
        )
    unnamed = len(pins) - len(named)
    for ca in PUBLIC_CAS:
        pinned = [root.name for root in named if root.organization in ca.organizations]
        # A pin that no root of the store has may be that of a new one.
        if pinned and unnamed < len(ca.new_roots):
            new = " and ".join(ca.new_roots)
            yield told(
                NEW_ROOTS,
                f"{', '.join(pinned)}: {ca.name} has {new} enter the stores",
                f"pin the keys of {new} too: {ca.source}",
            )


def _owner(root: PublicRoot) -> str:
    ca = ca_of(root.organization)
    return root.organization if ca is None else ca.name
