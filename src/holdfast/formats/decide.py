"""What a platform's own client would decide about a host and a path, by its semantics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.formats.platform import (
    Expiry,
    Overlap,
    Places,
    PlatformHost,
    Rule,
    Semantics,
    moment_of,
)
from holdfast.formats.rule_index import RuleIndex
from holdfast.pins.chain import ChainCertificate, PresentedChain, VerifiedChain
from holdfast.pins.pin import Pin, PinAlgorithm

__all__ = ["PlatformVerdict", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformVerdict:
    """What a platform's client does with a connection.

    Attributes:
        allowed: Whether it goes on.
        reason: Why, for people.
        rules: Those that count for the host, by name; none where it is not pinned.
    """

    allowed: bool
    reason: str
    rules: tuple[str, ...] = ()


def decide(
    rules: Sequence[Rule],
    semantics: Semantics,
    host: str,
    chain: VerifiedChain | PresentedChain,
    now: datetime,
) -> PlatformVerdict:
    """Decide as the platform would.

    Args:
        rules: What its file says.
        semantics: How it understands that.
        host: As the client has it. Some platforms miss it where it is not canonical.
        chain: The path that was verified as usual; or what was presented, where it does not verify.
        now: The time, with an offset. A day of local time is taken as UTC.
    """
    certificates = chain.certificates
    if semantics.verifies and not isinstance(chain, VerifiedChain):
        return PlatformVerdict(allowed=False, reason="the certificate does not verify")
    if not certificates:
        return PlatformVerdict(allowed=False, reason="the server shows no certificate")
    counting = rules_for(rules, semantics, seen_by(semantics, host))
    names = tuple(rule.name for rule in counting)
    pinning = [rule for rule in counting if not rule.exempt and not _is_over(rule, semantics, now)]
    if not pinning:
        reason = "pinning is switched off for it" if counting else "no rule covers the host"
        return PlatformVerdict(allowed=True, reason=reason, rules=names)
    if any(_satisfies(rule, semantics, certificates) for rule in pinning):
        return PlatformVerdict(allowed=True, reason="a pin matches", rules=names)
    if not any(rule.enforced for rule in pinning):
        return PlatformVerdict(allowed=True, reason="no pin matches: reported only", rules=names)
    return PlatformVerdict(allowed=False, reason="no pin matches", rules=names)


def seen_by(semantics: Semantics, host: str) -> str:
    """Return a host as a platform looks it up."""
    if semantics.folds_case:
        host = host.lower()
    return host.removesuffix(".") if semantics.drops_dot else host


def rules_for(rules: Sequence[Rule] | RuleIndex, semantics: Semantics, host: str) -> list[Rule]:
    """Return the rules that count for a host.

    Args:
        rules: What the file says; an index of it where many hosts are looked up.
        semantics: How the platform understands that.
        host: As the platform looks it up.
    """
    index = rules if isinstance(rules, RuleIndex) else RuleIndex(rules)
    if not semantics.hosts:
        return list(index.rules)
    covering = index.covering(host)
    if semantics.overlap is Overlap.NEAREST and _is_carved_out(index, host, covering):
        return []
    if semantics.overlap is Overlap.UNION or not covering:
        return list({id(rule): rule for _, rule in covering}.values())
    best = max(_specificity(entry, host) for entry, _ in covering)
    return [rule for entry, rule in covering if _specificity(entry, host) == best][:1]


def _is_carved_out(
    index: RuleIndex, host: str, covering: Sequence[tuple[PlatformHost, Rule]]
) -> bool:
    """Tell whether an entry for a nearer host stands between a host and what covers it."""
    nearest = max((entry.host.count(".") for entry, _ in covering), default=-1)
    return any(entry.host.count(".") > nearest for entry in index.above(host))


def _specificity(entry: PlatformHost, host: str) -> tuple[bool, int, int]:
    """Return a key that is greater for an entry that is more specific."""
    return entry.host == host, entry.host.count("."), -entry.kinds.value.bit_count()


def _is_over(rule: Rule, semantics: Semantics, now: datetime) -> bool:
    if rule.expires is None or semantics.expiry is Expiry.NONE:
        return False
    return now >= moment_of(rule.expires)


def _satisfies(
    rule: Rule, semantics: Semantics, certificates: tuple[ChainCertificate, ...]
) -> bool:
    leaf, above = certificates[:1], certificates[1:]
    match semantics.places:
        case Places.LEAF:
            return _any_matches(rule.anywhere + rule.leaf, leaf)
        case Places.ANYWHERE:
            return _any_matches(rule.pins, certificates)
    by_leaf, by_ca = _any_matches(rule.leaf, leaf), _any_matches(rule.ca, above)
    if semantics.places is Places.EITHER_ROLE:
        return by_leaf or by_ca
    return (by_leaf or not rule.leaf) and (by_ca or not rule.ca)


def _any_matches(pins: tuple[Pin, ...], certificates: tuple[ChainCertificate, ...]) -> bool:
    digests = {(PinAlgorithm.SPKI, certificate.spki_sha256) for certificate in certificates} | {
        (PinAlgorithm.CERTIFICATE, certificate.cert_sha256) for certificate in certificates
    }
    return any((pin.algorithm, pin.digest) in digests for pin in pins)
