"""What a client would decide about a chain, without a handshake: the host's trust, then its pins.

Under public and private trust the chain is verified by `verify_path`, against the public anchors or
against those of the set alone. Under pins-only trust there is nothing to verify a path with, and a
file of certificates cannot show that the server holds the leaf's key. The leaf is judged as if it
had shown that, and the verdict's hint says that it was assumed; its name and validity are checked
unless the policy says `check_name = false` or `check_validity = false`.
"""

from __future__ import annotations

import ipaddress
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.errors import CertificateError
from holdfast.pins.chain import PresentedChain, ProvenLeaf
from holdfast.pins.evaluate import evaluate, undecidable, untrusted
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.verdict import Observed, Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from holdfast.pins.policy import Policy

_REASON_LIMIT = 200  # characters
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

    from holdfast.certificates.verifier_differences import differences

    if phrases := differences(presented, anchors, host, now, answer):
        does = "accept" if failure else "refuse"
        verdict = _with_hint(verdict, f"OpenSSL may {does} this chain: {'; '.join(phrases)}")
    return verdict, failure


def _decide_by_leaf(
    policy: Policy, pin_set: PinSet, host: str, presented: tuple[bytes, ...], now: datetime
) -> tuple[Verdict, PathFailure | None]:
    failure = _leaf_failure(pin_set, host, presented, now)
    if failure is not None:
        return _refused(policy, host, presented, failure), failure
    verdict = evaluate(policy, host, ProvenLeaf(chain_certificate(presented[0])), now)
    return _with_hint(verdict, _ASSUMED), None


def _leaf_failure(
    pin_set: PinSet, host: str, presented: tuple[bytes, ...], now: datetime
) -> PathFailure | None:
    """Check what can be checked of a leaf that nobody vouches for."""
    if not presented:
        return _undecidable("there is no certificate")
    try:
        with warnings.catch_warnings():
            # They say that a later version will refuse what this one still reads.
            warnings.simplefilter("ignore")
            return _leaf_flaw(pin_set, host, presented[0], now)
    except Exception as error:  # noqa: BLE001 (whatever a parser raises)
        return _undecidable(f"the certificate cannot be read: {ascii(str(error))[:_REASON_LIMIT]}")


def _leaf_flaw(pin_set: PinSet, host: str, der: bytes, now: datetime) -> PathFailure | None:
    from cryptography.x509 import load_der_x509_certificate

    chain_certificate(der)  # the pins are looked for with this reader: it must take the leaf too
    leaf = load_der_x509_certificate(der)
    if pin_set.check_validity is not False:
        if now < leaf.not_valid_before_utc:
            reason = f"the certificate is not valid before {leaf.not_valid_before_utc.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
        if now > leaf.not_valid_after_utc:
            reason = f"the certificate expired at {leaf.not_valid_after_utc.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
    if pin_set.check_name is not False and not _covers(leaf, host):
        return PathFailure(f"no name of the certificate covers {host}", Observed.WRONG_HOST)
    return None


def _covers(leaf: Certificate, host: str) -> bool:
    """Tell whether a certificate is for a canonical host (RFC 9525 section 6.3)."""
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        names = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return False
    if is_ip_literal(host):
        return ipaddress.ip_address(host) in names.get_values_for_type(IPAddress)
    covering = {host, f"*.{host.partition('.')[2]}"}
    return any(name.lower() in covering for name in names.get_values_for_type(DNSName))


def _undecidable(reason: str) -> PathFailure:
    return PathFailure(reason, Observed.UNKNOWN, Outcome.UNDECIDABLE)


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
