"""The decision: what a policy says of a verified path to a host at a time.

1. The answer is a `Verdict`; nothing here raises because a connection is refused.
2. Only a verified path (or, for pins-only sets, a leaf whose key was proven) is matched.
3. "Not pinned", "expired" and "report-only" are outcomes with a name, never an early silent return.
4. A denied key refuses in every mode, on every host.
5. What cannot be decided is refused.
"""

from __future__ import annotations

from datetime import datetime

from holdfast.errors import HoldfastError
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Digests, Mode, OnExpiry, PinSet, Require, Trust
from holdfast.pins.policy import BREAK_GLASS_LIMIT, Policy, Unlisted
from holdfast.pins.verdict import Match, Outcome, Role, Verdict


def evaluate(
    policy: Policy, host: str, chain: VerifiedChain | ProvenLeaf, now: datetime
) -> Verdict:
    """Decide whether a connection may go on.

    Args:
        policy: The policy in force.
        host: The canonical host name of the connection (`canonical_host`).
        chain: The path that was verified for this host and time, or the proven leaf of a pins-only
            host.
        now: The time of the decision, with an offset.

    Returns:
        The first outcome that applies: undecidable, denied, not-pinned, match, expired, mismatch.
    """
    try:
        pin_set = policy.pin_set_for(host)
    except HoldfastError as error:
        return undecidable(policy, host, f"the pins of the host cannot be had: {error}")
    if isinstance(chain, ProvenLeaf) and (pin_set is None or pin_set.trust is not Trust.PINS_ONLY):
        return undecidable(
            policy, host, "nothing vouches for the certificate: no path was verified"
        )
    denied = denied_on(policy, pin_set, host, chain, now)
    if denied is not None:
        return denied
    if pin_set is None:
        return _not_pinned(policy, host, chain)
    return held_against(pin_set, host, chain, now)


def denied_on(
    policy: Policy,
    pin_set: PinSet | None,
    host: str,
    chain: VerifiedChain | ProvenLeaf,
    now: datetime,
) -> Verdict | None:
    """Refuse because of a denied key on the path; None where there is none."""
    for position, certificate in enumerate(_path_of(chain)):
        if certificate.spki_sha256 in policy.denied_digests:
            return Verdict(
                outcome=Outcome.DENIED,
                allowed=False,
                violation=True,
                host=host,
                mode=effective_mode(pin_set, now) if pin_set else None,
                pin_set=pin_set,
                matched=Match(_key_pin(certificate), Role.CA if position else Role.LEAF, position),
                chain=chain,
                reason="the policy denies a key on the path",
            )
    return None


def held_against(
    pin_set: PinSet, host: str, chain: VerifiedChain | ProvenLeaf, now: datetime
) -> Verdict:
    """Decide by the pins of one set: match, expired or mismatch."""
    matched = _satisfied_by(pin_set, _path_of(chain))
    if matched is not None:
        return _match(pin_set, host, chain, matched, now)
    return _miss(pin_set, host, chain, now)


def is_worth_verifying(
    policy: Policy, pin_set: PinSet, certificates: tuple[ChainCertificate, ...]
) -> bool:
    """Tell whether certificates in a row, leaf first, would match a set if they were a valid path.

    It spares signature checks and decides nothing: `evaluate` has the word, on what was verified.
    """
    denied = any(one.spki_sha256 in policy.denied_digests for one in certificates)
    return not denied and _satisfied_by(pin_set, certificates) is not None


def undecidable(
    policy: Policy, host: str, reason: str, presented: PresentedChain | None = None
) -> Verdict:
    """Refuse because no path can be had, or because a parser failed on it."""
    return _refused_unchecked(Outcome.UNDECIDABLE, policy, host, reason, presented)


def without_path(policy: Policy, host: str, reason: str) -> Verdict:
    """Decide on a connection that its verifier accepted but whose path cannot be had or read.

    That is undecidable, but for a host that no pattern covers while no key is denied: nothing on
    the path could matter.
    """
    try:
        is_unlisted = policy.pin_set_for(host) is None
    except HoldfastError:
        is_unlisted = False
    if is_unlisted and not policy.denied:
        return _not_pinned(policy, host, None)
    return undecidable(policy, host, reason)


def untrusted(
    policy: Policy, host: str, reason: str, presented: PresentedChain | None = None
) -> Verdict:
    """Refuse because the presented chain does not verify for this name, time and trust."""
    return _refused_unchecked(Outcome.UNTRUSTED, policy, host, reason, presented)


def effective_mode(pin_set: PinSet, now: datetime) -> Mode:
    """Return the set's mode, with break-glass taken into account.

    Break-glass that seems to end further ahead than it may is not in force: the clock was set back.
    """
    until = pin_set.report_only_until
    if until is not None and now < until and until - now <= BREAK_GLASS_LIMIT:
        return Mode.REPORT_ONLY
    return pin_set.mode


def _refused_unchecked(
    outcome: Outcome, policy: Policy, host: str, reason: str, presented: PresentedChain | None
) -> Verdict:
    try:
        pin_set = policy.pin_set_for(host)
    except HoldfastError:  # it is refused all the same
        pin_set = None
    mode = pin_set.mode if pin_set else None
    return Verdict(
        outcome=outcome,
        allowed=False,
        violation=True,
        host=host,
        mode=mode,
        pin_set=pin_set,
        chain=presented,
        reason=reason,
    )


def _not_pinned(policy: Policy, host: str, chain: VerifiedChain | ProvenLeaf | None) -> Verdict:
    return Verdict(
        outcome=Outcome.NOT_PINNED,
        allowed=policy.unlisted is not Unlisted.REFUSE,
        violation=policy.unlisted is not Unlisted.ALLOW,
        host=host,
        chain=chain,
        reason=f"no pattern of the policy covers the host, and unlisted is {policy.unlisted.value}",
    )


def _match(
    pin_set: PinSet, host: str, chain: VerifiedChain | ProvenLeaf, matched: Match, now: datetime
) -> Verdict:
    hint = None
    if matched.pin in pin_set.backup:
        hint = "a backup key is in use: move it to `leaf` and add a new backup"
    if pin_set.expires is not None and now >= pin_set.expires:
        expired = pin_set.expires.isoformat()
        hint = f"the pin set expired at {expired}: renew it while its pins still match"
    return Verdict(
        outcome=Outcome.MATCH,
        allowed=True,
        violation=False,
        host=host,
        mode=effective_mode(pin_set, now),
        pin_set=pin_set,
        matched=matched,
        chain=chain,
        reason=f"the {matched.role.value} at position {matched.position} has a pin of the set",
        hint=hint,
    )


def _miss(pin_set: PinSet, host: str, chain: VerifiedChain | ProvenLeaf, now: datetime) -> Verdict:
    mode = effective_mode(pin_set, now)
    hint = None
    if mode is not pin_set.mode and pin_set.report_only_until is not None:
        hint = f"break-glass is in force until {pin_set.report_only_until.isoformat()}"
    has_expired = pin_set.expires is not None and now >= pin_set.expires
    if has_expired and pin_set.on_expiry is not OnExpiry.ENFORCE:
        return Verdict(
            outcome=Outcome.EXPIRED,
            allowed=True,
            violation=pin_set.on_expiry is OnExpiry.REPORT_ONLY,
            host=host,
            mode=mode,
            pin_set=pin_set,
            chain=chain,
            reason="no pin of the set is on the path, and the set has expired",
            hint=hint,
        )
    return Verdict(
        outcome=Outcome.MISMATCH,
        allowed=mode is Mode.REPORT_ONLY,
        violation=True,
        host=host,
        mode=mode,
        pin_set=pin_set,
        chain=chain,
        reason=_why_missed(pin_set, chain),
        hint=hint,
    )


def _why_missed(pin_set: PinSet, chain: VerifiedChain | ProvenLeaf) -> str:
    if pin_set.trust is Trust.PRIVATE and not _ends_in_own_anchor(pin_set, _path_of(chain)):
        return "the path does not end in an anchor of the set"
    if pin_set.require is Require.LEAF_AND_CA:
        return "the set asks for a leaf pin and a CA pin on the path, and they are not both there"
    return "no pin of the set is on the path"


def _path_of(chain: VerifiedChain | ProvenLeaf) -> tuple[ChainCertificate, ...]:
    return chain.certificates if isinstance(chain, VerifiedChain) else (chain.certificate,)


def _ends_in_own_anchor(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> bool:
    return path[-1].der in pin_set.anchors


def _satisfied_by(pin_set: PinSet, path: tuple[ChainCertificate, ...]) -> Match | None:
    """Return the pin that satisfies the set, or None."""
    if pin_set.trust is Trust.PRIVATE:
        # Whatever else the verifier trusts, a private set is satisfied by its own anchors only.
        if not _ends_in_own_anchor(pin_set, path):
            return None
        if not pin_set.pins:
            position = len(path) - 1
            return Match(
                Pin(PinAlgorithm.CERTIFICATE, path[position].cert_sha256),
                Role.CA if position else Role.LEAF,
                position,
            )
    leaf = _found(pin_set.leaf_digests, path[0], Role.LEAF, 0)
    if leaf is not None and pin_set.require is Require.LEAF_OR_CA:
        return leaf
    for position, certificate in enumerate(path[1:], start=1):
        ca = _found(pin_set.ca_digests, certificate, Role.CA, position)
        if ca is not None:
            return ca if pin_set.require is Require.LEAF_OR_CA else leaf
    return None


def _found(
    digests: Digests, certificate: ChainCertificate, role: Role, position: int
) -> Match | None:
    if certificate.spki_sha256 in digests.spki:
        return Match(_key_pin(certificate), role, position)
    if certificate.cert_sha256 in digests.certificate:
        return Match(Pin(PinAlgorithm.CERTIFICATE, certificate.cert_sha256), role, position)
    return None


def _key_pin(certificate: ChainCertificate) -> Pin:
    return Pin(PinAlgorithm.SPKI, certificate.spki_sha256)
