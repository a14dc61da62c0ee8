"""Lint of other platforms' files, once for all of them: over their rules and what they mean by it.

What is the same for a policy has the same rule; the words are the platform's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from holdfast.errors import Mistake, PolicyError
from holdfast.findings.finding import Finding, Severity
from holdfast.formats import lint_keys, lint_reach, lint_time
from holdfast.formats.lint_public_cas import PublicRoots, findings_of
from holdfast.formats.lint_reports import report_findings
from holdfast.formats.lint_rule import Rule
from holdfast.formats.lint_text import NO_BACKUP, ONE_PIN, TWICE, problem_findings
from holdfast.formats.loss import Loss, LossKind
from holdfast.formats.overlaps import at_and_above
from holdfast.formats.platform import (
    Expiry,
    Kinds,
    Overlap,
    Places,
    PlatformHost,
    Semantics,
    moment_of,
)
from holdfast.formats.platform import Rule as PlatformRule
from holdfast.formats.registry import Reading
from holdfast.formats.set_trust import EASTERNMOST
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin import Pin

DROPPED_HOST = Rule(
    "HF149",
    Severity.ERROR,
    "TrustKit for Android keeps the last <domain> only",
    "TrustKit does not pin the other hosts of the same <domain-config>, whatever stands there.",
    "https://github.com/datatheorem/TrustKit-Android/issues/78",
)
UNREACHED_HOST = Rule(
    "HF150",
    Severity.ERROR,
    "A host that matches nothing",
    "Android has no wildcards in <domain>: the asterisk is a letter like others. What was meant to "
    "be pinned is not.",
    "https://github.com/aosp-mirror/platform_frameworks_base/blob/"
    "4850a8b14979f5a2d87625bc26ca6fbdad32513d/"
    "core/java/android/security/net/config/ApplicationConfig.java",
)
NO_UPDATE = Rule(
    "HF163",
    Severity.NOTE,
    "Enforced without a way to update",
    "The pins are part of the application. When a key has to change at once, as after a revocation "
    "within a day, every client that has not been updated is locked out.",
    "https://www.digicert.com/support/certificate-revocation-incident",
)
RULES = (DROPPED_HOST, UNREACHED_HOST, NO_UPDATE)

_BACKUP = "add the pin of a key in reserve: `holdfast key new`, then `holdfast key pin FILE`"
_OF_LOSS = {
    LossKind.DUPLICATE: (TWICE, "put a backup there, or remove it"),
    LossKind.DROPPED_HOST: (DROPPED_HOST, "give each <domain> a <domain-config> of its own"),
    LossKind.UNREACHED_HOST: (
        UNREACHED_HOST,
        'name the host, with includeSubdomains="true" where those below it are meant',
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What lint knows beside the text.

    Attributes:
        now: The time at which it judges, with an offset.
        public_suffix: Says whether a canonical host is a public suffix.
        public_roots: The roots of the public trust stores, by pin.
        clients_live_until: When the last client is gone, if that is known.
    """

    now: datetime
    public_suffix: Callable[[str], bool]
    public_roots: PublicRoots
    clients_live_until: datetime | None = None


def platform_findings(
    reading: Reading, semantics: Semantics, known: Circumstances
) -> Iterator[Finding]:
    """Say everything that is to be said against a file.

    Args:
        reading: What the file says.
        semantics: How its platform understands that.
        known: What is known beside it.
    """
    yield from problem_findings(PolicyError(reading.problems))
    for loss in reading.losses:
        yield from _of_loss(loss, known)
    yield from report_findings(reading)
    rules = [rule for rule in counted(reading.rules, semantics) if rule.pins and not rule.exempt]
    is_told = any(problem.mistake is Mistake.ONE_PIN for problem in reading.problems)
    for rule in rules:
        if not is_told:
            yield from _ways_out(rule, semantics)
        yield from _certificate_authorities(rule, semantics, known.public_roots)
        yield from _whole_certificates(rule)
        if semantics.expiry is not Expiry.OF_LIST or rule is rules[0]:
            yield from _expiry(rule, semantics, known)
        yield from _public_suffixes(rule, known.public_suffix)
    if not reading.problems:
        yield from _whole_file(rules, semantics)


def counted(rules: Sequence[PlatformRule], semantics: Semantics) -> list[PlatformRule]:
    """Return the rules as they count: those that add up for the same hosts as one."""
    if semantics.overlap is not Overlap.UNION:
        return list(rules)
    pins: dict[PlatformHost, dict[Pin, None]] = {}
    first: dict[PlatformHost, PlatformRule] = {}
    for rule in rules:
        for entry in rule.hosts:
            pins.setdefault(entry, {}).update(dict.fromkeys(rule.anywhere))
            first.setdefault(entry, rule)
    return [
        replace(rule, hosts=(entry,), anywhere=tuple(_added_up(entry, pins)))
        for entry, rule in first.items()
    ]


def _added_up(entry: PlatformHost, pins: dict[PlatformHost, dict[Pin, None]]) -> dict[Pin, None]:
    """Return the pins that count for every host of an entry."""
    found = dict(pins[entry])
    for above in at_and_above(entry.host):
        for kinds in (Kinds.APEX, Kinds.ONE_BELOW, Kinds.ANY_DEPTH):
            wider = PlatformHost(above, kinds)
            if wider != entry and wider in pins and _covers(wider, entry):
                found |= pins[wider]
    return found


def _covers(wider: PlatformHost, entry: PlatformHost) -> bool:
    """Tell whether an entry covers every host that another one covers."""
    names = {
        Kinds.APEX: entry.host,
        Kinds.ONE_BELOW: f"x.{entry.host}",
        Kinds.DEEPER: f"x.x.{entry.host}",
    }
    return all(wider.covers(name) for kind, name in names.items() if kind in entry.kinds)


def _of_loss(loss: Loss, known: Circumstances) -> Iterator[Finding]:
    if loss.kind in _OF_LOSS:
        rule, action = _OF_LOSS[loss.kind]
        yield rule.finding(loss.place, loss.consequence, action, subject=loss.subject)
    elif loss.kind is LossKind.EXPIRY and loss.stated is not None:
        ends = datetime.fromisoformat(loss.stated)
        yield from lint_time.ending(
            ends,
            known.now,
            known.clients_live_until,
            lambda rule, reason: rule.finding(
                loss.place, reason, "renew the entry", subject=loss.subject
            ),
        )


def _tell(rule: PlatformRule, which: Rule, reason: str, action: str) -> Finding:
    return which.finding(rule.place, reason, action, subject=rule.name)


def _ways_out(rule: PlatformRule, semantics: Semantics) -> Iterator[Finding]:
    if semantics.places is Places.BOTH_ROLES and rule.leaf and rule.ca:
        reason = f"{semantics.title} wants a match in the leaf list and in the CA list"
        action = "make sure that a pinned CA would certify each backup key, or keep one list"
        yield _tell(rule, lint_keys.BOTH_NEEDED, reason, action)
        for title, pins in (("leaf", rule.leaf), ("CA", rule.ca)):
            if len(pins) == 1:
                reason = f"the {title} list has to match, and has one pin"
                yield _tell(rule, NO_BACKUP, reason, _BACKUP)
    elif len(rule.pins) == 1:
        if rule.enforced:
            yield _tell(rule, ONE_PIN, f"only {rule.pins[0]} can match", _BACKUP)
        else:
            reason = f"only {rule.pins[0]} can match: too little to be enforced"
            yield _tell(rule, lint_keys.NOT_ENFORCEABLE, reason, _BACKUP)


def _certificate_authorities(
    rule: PlatformRule, semantics: Semantics, roots: PublicRoots
) -> Iterator[Finding]:
    """Find what hangs on one CA, where a CA's key has to match."""
    if semantics.places is Places.LEAF:
        return
    is_needed = semantics.places is Places.BOTH_ROLES or not rule.leaf
    pins = rule.ca + rule.anywhere if is_needed else ()
    if len(pins) == 1 and (rule.ca or pins[0] in roots):
        action = "pin a root of each CA that the host may use, old and new generations alike"
        yield _tell(rule, lint_keys.ONE_CA, "no path passes without this one CA key", action)
    yield from findings_of(
        pins, roots, lambda which, reason, action: _tell(rule, which, reason, action)
    )


def _whole_certificates(rule: PlatformRule) -> Iterator[Finding]:
    whole = [pin for pin in rule.leaf if pin.is_certificate]
    if whole:
        reason = f"{whole[0]} will not match the renewed certificate"
        action = "pin the key instead where the platform can, or renew the pins with it"
        yield _tell(rule, lint_keys.CERTIFICATE_LEAF, reason, action)


def _expiry(rule: PlatformRule, semantics: Semantics, known: Circumstances) -> Iterator[Finding]:
    if rule.expires is None or semantics.expiry is Expiry.NONE:
        return
    ends = moment_of(rule.expires)
    if semantics.expiry is Expiry.LOCAL_DAY:
        ends -= EASTERNMOST
    renew = "confirm the pins with the owner and write a later day, or remove it"
    if semantics.expiry is Expiry.OF_LIST:
        renew = "take a newer list"
    day = rule.expires.isoformat()
    over = known.now >= ends
    if over and rule.enforced:
        reason = f"since {day} {semantics.title} pins nothing here"
        yield _tell(rule, lint_time.EXPIRED_OPEN, reason, renew)
        return
    yield from lint_time.ending(
        ends,
        known.now,
        known.clients_live_until,
        lambda which, reason: _tell(rule, which, reason, renew),
    )
    if rule.enforced:
        reason = f"from {day} on {semantics.title} pins nothing here, and says nothing"
        yield _tell(rule, lint_time.OPENS_ON_EXPIRY, reason, renew)


def _public_suffixes(rule: PlatformRule, public_suffix: Callable[[str], bool]) -> Iterator[Finding]:
    for entry in rule.hosts:
        if entry.kinds is Kinds.APEX or is_ip_literal(entry.host):
            continue
        if public_suffix(entry.host):
            reason = f"the entry for {entry.host} covers names that are registered by others"
            action = f"write the owner's own name, as in your-name.{entry.host}"
            yield _tell(rule, lint_reach.PUBLIC_SUFFIX, reason, action)


def _whole_file(rules: Sequence[PlatformRule], semantics: Semantics) -> Iterator[Finding]:
    if not rules:
        reason, action = "no host is pinned", "add pins, or remove what only looks like pinning"
        yield lint_reach.EMPTY_POLICY.finding("", reason, action)
        return
    for_ever = [rule for rule in rules if rule.enforced and rule.expires is None]
    if not any(rule.enforced for rule in rules):
        reason = "every rule is report-only: no connection is refused for its pins"
        action = "enforce them once the reports hold no surprise"
        yield lint_reach.NOTHING_ENFORCED.finding("", reason, action)
    elif semantics.shipped and for_ever:
        reason = "only a release of the application changes these pins"
        action = "have a way to force an update, or deliver pins by signed updates"
        yield NO_UPDATE.finding(for_ever[0].place, reason, action)
