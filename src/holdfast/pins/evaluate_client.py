"""The decision of a server on a client: which set names it, and what that set says of its path.

1. The names that the certificate states lead to one set, or to none; to two is undecidable.
2. A client that no set names is refused, whatever `unlisted` says: that is about hosts, and a
   server that pins its clients is there to know who they are.
3. A path counts only for a set whose own trust it ends in, in every mode: otherwise the CA of one
   partner could make clients of another, and a report-only set would let them in.
4. A denied key refuses in every mode, as for hosts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from holdfast.pins.chain import PresentedChain, VerifiedChain
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.evaluate import denied_on, held_against
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Verdict

NAMELESS = "a client"
_FOREIGN = "the path does not end in an anchor {}"


def evaluate_client(
    policy: Policy,
    identities: tuple[ClientIdentity, ...],
    chain: VerifiedChain,
    now: datetime,
    *,
    public_anchors: Collection[bytes] = (),
) -> Verdict:
    """Decide whether a client may come in.

    Args:
        policy: The policy in force.
        identities: The names in the client's certificate, in its order.
        chain: The path that was verified for this time, to any anchor of the server.
        now: The time of the decision, with an offset.
        public_anchors: The anchors (DER) that vouch for the clients of sets with public trust.

    Returns:
        The first outcome that applies: undecidable, untrusted, denied, not-pinned, match, expired,
        mismatch. Its `host` is the identity that a set names.
    """
    found = [(identity, policy.pin_set_for_client(identity)) for identity in identities]
    named = [(identity, pin_set) for identity, pin_set in found if pin_set is not None]
    host = (named or found or [(NAMELESS, None)])[0][0]
    pin_set = named[0][1] if named else None
    if any(other is not pin_set for _, other in named):
        reason = "names of the certificate stand in several pin sets"
        return refused_client(Outcome.UNDECIDABLE, str(host), reason, None, chain)
    if pin_set is not None:
        distrust = _distrust(pin_set, chain, public_anchors)
        if distrust is not None:
            return refused_client(Outcome.UNTRUSTED, str(host), distrust, pin_set, chain)
    verdict = denied_on(policy, pin_set, str(host), chain, now)
    if verdict is None and pin_set is not None:
        verdict = held_against(pin_set, str(host), chain, now)
    if verdict is None:
        reason = "no pin set names the client" if found else "the certificate names nobody"
        return refused_client(Outcome.NOT_PINNED, str(host), reason, None, chain)
    return replace(verdict, is_client=True)


def refused_client(
    outcome: Outcome,
    host: str,
    reason: str,
    pin_set: PinSet | None = None,
    chain: VerifiedChain | PresentedChain | None = None,
) -> Verdict:
    """Refuse a client before its pins are looked at."""
    return Verdict(
        outcome=outcome,
        allowed=False,
        violation=True,
        host=host,
        mode=pin_set.mode if pin_set else None,
        pin_set=pin_set,
        chain=chain,
        reason=reason,
        is_client=True,
    )


def _distrust(
    pin_set: PinSet, chain: VerifiedChain, public_anchors: Collection[bytes]
) -> str | None:
    """Say why a path cannot vouch for the clients of a set; None if it can."""
    anchor = chain.certificates[-1].der
    match pin_set.trust:
        case Trust.PRIVATE:
            return None if anchor in pin_set.anchors else _FOREIGN.format("of the set")
        case Trust.PUBLIC:
            return None if anchor in public_anchors else _FOREIGN.format("for public trust")
        case Trust.PINS_ONLY:
            return "a server cannot ask for a certificate that nothing vouches for"
