"""What a client would decide about a chain, without a handshake: the host's trust, then its pins.

Under public and private trust the chain is verified by `verify_path`, against the public anchors or
against those of the set alone; on a mismatch other paths are looked at, as in a handshake. Under
pins-only trust there is nothing to verify a path with, and a file of certificates cannot show that
the server holds the leaf's key. The leaf is judged as if it had shown that, and the verdict's hint
says that it was assumed; its name and validity are checked unless the policy says
`check_name = false` or `check_validity = false`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.certificates.lone_leaf import leaf_failure
from holdfast.certificates.other_paths import match_on_other_path
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.errors import CertificateError
from holdfast.pins.chain import PresentedChain, ProvenLeaf
from holdfast.pins.evaluate import evaluate, undecidable, untrusted
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.pins.policy import Policy

_ASSUMED = "only a handshake proves that the server holds this key; that was assumed here"


def decide_offline(
    policy: Policy,
    host: str,
    presented: tuple[bytes, ...],
    public_anchors: tuple[bytes, ...],
    now: datetime,
) -> tuple[Verdict, PathFailure | None]:
    """Decide what a client with this policy would do with a chain.

    Args:
        policy: The policy in force.
        host: The canonical host name of the connection.
        presented: What the server sent, as DER, leaf first.
        public_anchors: The anchors for hosts that have none of their own, as DER.
        now: The time of the decision, with an offset.

    Returns:
        The verdict, and why no path was found when none was.
    """
    pin_set = policy.pin_set_for(host)
    if pin_set is not None and pin_set.trust is Trust.PINS_ONLY:
        return _decide_by_leaf(policy, pin_set, host, presented, now)
    anchors = public_anchors
    if pin_set is not None and pin_set.trust is Trust.PRIVATE:
        anchors = pin_set.anchors
    answer = verify_path(presented, anchors, host, now)
    failure = answer if isinstance(answer, PathFailure) else None
    if isinstance(answer, PathFailure):
        verdict = _refused(policy, host, presented, answer)
    else:
        verdict = evaluate(policy, host, answer, now)
        if match := match_on_other_path(policy, verdict, presented, anchors, now):
            verdict, answer = match.verdict, match.chain

    from holdfast.certificates.verifier_differences import differences

    if phrases := differences(presented, anchors, host, now, answer):
        does = "accept" if failure else "refuse"
        verdict = _with_hint(verdict, f"OpenSSL may {does} this chain: {'; '.join(phrases)}")
    return verdict, failure


def _decide_by_leaf(
    policy: Policy, pin_set: PinSet, host: str, presented: tuple[bytes, ...], now: datetime
) -> tuple[Verdict, PathFailure | None]:
    failure = leaf_failure(pin_set, host, presented, now)
    if failure is not None:
        return _refused(policy, host, presented, failure), failure
    verdict = evaluate(policy, host, ProvenLeaf(chain_certificate(presented[0])), now)
    return _with_hint(verdict, _ASSUMED), None


def _refused(
    policy: Policy, host: str, presented: tuple[bytes, ...], failure: PathFailure
) -> Verdict:
    verdict = undecidable if failure.outcome is Outcome.UNDECIDABLE else untrusted
    return verdict(policy, host, failure.reason, _as_presented(presented))


def _as_presented(presented: tuple[bytes, ...]) -> PresentedChain | None:
    """Return the chain to be shown; None when a certificate of it cannot be read."""
    try:
        return PresentedChain(tuple(map(chain_certificate, presented)))
    except CertificateError:
        return None


def _with_hint(verdict: Verdict, hint: str) -> Verdict:
    return replace(verdict, hint=f"{verdict.hint}; {hint}" if verdict.hint else hint)
