"""A second look: whether another valid path from the presented leaf to an anchor has a pin.

A server can have several valid paths, and a verifier builds one. Where that one has no pin of the
set, another may have: old and new roots of a CA are cross-signed for years, and which of the paths
is built depends on the client's trust store.

1. Only for a mismatch under public or private trust. A denied key on the first path is a refusal.
2. A path is put together by names, and verified by itself: it alone is shown, its own root alone is
   trusted, and the same path must come back. No path ends in a certificate that is no root.
3. What OpenSSL is known to refuse is no path here either, although the verifier would take it.
4. What is looked at is bounded. A server that sends a thicket of certificates finds no match.
5. Nothing raises because of what a server sent: what cannot be read is no other path.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from holdfast.certificates.der import INTEGER, SEQUENCE, enter, skip
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import MAX_PRESENTED, confirm_path
from holdfast.errors import CertificateError
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.evaluate import evaluate, is_worth_verifying
from holdfast.pins.pin_set import Trust
from holdfast.pins.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from holdfast.pins.policy import Policy

MAX_CANDIDATES = 64  # paths to an anchor, put together by names
MAX_SIGNATURES = 100  # checked for all of them together
MAX_STEPS = 1000  # certificates put behind another one, dead ends included
MAX_LENGTH = 10  # certificates: the verifier takes 8 between leaf and anchor

_VERSION = 0xA0  # [0] EXPLICIT, RFC 5280 section 4.1
_HINT = (
    "which path is built depends on the client's trust store: "
    "pin the old and the new generation of the root"
)


@dataclass(frozen=True, slots=True)
class OtherMatch:
    """A match on another path.

    Attributes:
        verdict: The match.
        chain: That path.
        since: From when all of its certificates are valid.
        until: Until when.
    """

    verdict: Verdict
    chain: VerifiedChain
    since: datetime
    until: datetime

    @property
    def path(self) -> tuple[bytes, ...]:
        """The path as DER, leaf first, anchor last."""
        return tuple(certificate.der for certificate in self.chain.certificates)


def match_on_other_path(
    policy: Policy,
    missed: Verdict,
    presented: tuple[bytes, ...],
    anchors: tuple[bytes, ...],
    now: datetime,
) -> OtherMatch | None:
    """Look for another valid path that matches.

    Args:
        policy: The policy in force.
        missed: What it said of the path that was verified first.
        presented: What the server sent, as DER, leaf first.
        anchors: What the client trusts under the set's trust, as DER, as far as it is known.
        now: The time of the decision, with an offset.

    Returns:
        The first match; None where there is none, or none within the bounds.
    """
    pin_set = missed.pin_set
    if (
        missed.outcome is not Outcome.MISMATCH
        or pin_set is None
        or pin_set.trust is Trust.PINS_ONLY
        or policy.pin_set_for(missed.host) is not pin_set  # a client's, or an older policy's
        or not isinstance(missed.chain, VerifiedChain)
        or presented[:1] != (missed.chain.certificates[0].der,)  # whose key was proven
        or len(presented) > MAX_PRESENTED
    ):
        return None
    left = MAX_SIGNATURES
    for path in islice(_candidates(presented, anchors), MAX_CANDIDATES):
        try:
            certificates = tuple(map(chain_certificate, path))
        except CertificateError:
            continue
        if not is_worth_verifying(policy, pin_set, certificates):
            continue
        left -= len(path)  # one for each certificate; the root has signed itself
        if left < 0:
            return None
        try:
            match = _match(policy, missed, path, now)
        except Exception:  # noqa: BLE001, S112  whatever a parser raises
            continue
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # as in `verify_path`
                raise
            continue
        if match is not None:
            return match
    return None


def _match(
    policy: Policy, missed: Verdict, path: tuple[bytes, ...], now: datetime
) -> OtherMatch | None:
    chain = confirm_path(path, missed.host, now)
    if chain is None:
        return None

    from holdfast.certificates.verifier_differences import openssl_agrees  # loads cryptography

    verdict = evaluate(policy, missed.host, chain, now)
    if verdict.outcome is not Outcome.MATCH or not openssl_agrees(path, missed.host, now):
        return None
    reason = f"{verdict.reason}, on another valid path; of the first path: {missed.reason}"
    hint = f"{verdict.hint}; {_HINT}" if verdict.hint else _HINT
    return OtherMatch(replace(verdict, reason=reason, hint=hint), chain, *_validity(path))


def _candidates(
    presented: tuple[bytes, ...], anchors: tuple[bytes, ...]
) -> Iterator[tuple[bytes, ...]]:
    """Put certificates behind the leaf by their names, until they end in a root that is trusted.

    Names are compared byte by byte (RFC 5280 section 7.1 would allow more; the verifier does not).
    No name comes twice: there is no going round, and one certificate only for each signature.
    """
    leaf, *others = presented
    issuers: dict[bytes, bytes] = {}
    by_subject: dict[bytes, list[bytes]] = {}
    for der in dict.fromkeys((leaf, *anchors, *others)):
        try:
            issuers[der], subject = _names(der)
        except CertificateError:
            continue
        if der != leaf:
            by_subject.setdefault(subject, []).append(der)
    trusted = frozenset(anchors)
    begun: list[tuple[tuple[bytes, ...], tuple[bytes, ...]]] = [((leaf,), ())]
    steps = 0
    while begun:
        path, passed = begun.pop()
        name = issuers.get(path[-1])
        if name is None or name in passed or len(path) == MAX_LENGTH:
            continue
        for der in by_subject.get(name, ()):
            steps += 1
            if steps > MAX_STEPS:
                return
            if issuers[der] != name:
                begun.append(((*path, der), (*passed, name)))
            elif der in trusted:
                yield (*path, der)


def _names(der: bytes) -> tuple[bytes, bytes]:
    """Slice the names of issuer and subject out of a certificate (RFC 5280 section 4.1).

    Raises:
        CertificateError: The input is not a certificate in strict DER.
    """
    at, end = enter(der, 0, SEQUENCE, len(der))
    at, limit = enter(der, at, SEQUENCE, end)
    if der[at : at + 1] == bytes([_VERSION]):
        at = skip(der, at, bytes([_VERSION]), limit)
    issuer = skip(der, at, bytes([INTEGER, SEQUENCE]), limit)  # serialNumber, signature
    validity = skip(der, issuer, bytes([SEQUENCE]), limit)
    subject = skip(der, validity, bytes([SEQUENCE]), limit)
    return der[issuer:validity], der[subject : skip(der, subject, bytes([SEQUENCE]), limit)]


def _validity(path: tuple[bytes, ...]) -> tuple[datetime, datetime]:
    """Return since when and until when all certificates of a confirmed path are valid."""
    from cryptography.x509 import load_der_x509_certificate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        links = [load_der_x509_certificate(der) for der in path]
    begin = max(link.not_valid_before_utc for link in links)
    return begin, min(link.not_valid_after_utc for link in links)
