"""What a package pins, held against the policy, and against what the servers show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from holdfast.findings.finding import Finding, Severity
from holdfast.formats.artifacts.found import Found
from holdfast.formats.decide import decide, rules_for, seen_by
from holdfast.formats.from_policy import rules_of
from holdfast.formats.host_cover import patterns_of
from holdfast.formats.lint_rule import Rule as LintRule
from holdfast.formats.platform import Rule, Semantics
from holdfast.formats.rule_index import RuleIndex
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.host_pattern import HostPattern, representatives
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy

__all__ = ["RULES", "artifact_findings", "live_findings"]

_SOURCE = "https://status.xmatters.com/incidents/z640qg809qdd"
_MANIFEST = "https://developer.android.com/privacy-and-security/security-config"
NO_PINS = LintRule(
    "HF701",
    Severity.ERROR,
    "The package has no pins",
    "What was built is not what was meant: the configuration was left out, or another one was "
    "taken.",
    _SOURCE,
)
OTHER_PINS = LintRule(
    "HF702",
    Severity.ERROR,
    "The package pins other keys than the policy",
    "Clients that are out refuse what the policy says is right, or accept what it does not. That "
    "was found after the release, by the outage.",
    _SOURCE,
)
MISSING_HOST = LintRule(
    "HF703",
    Severity.ERROR,
    "The package does not pin a host of the policy",
    "To these clients the host is like any other: whoever gets a certificate for it is let in.",
)
OTHER_HOST = LintRule(
    "HF704",
    Severity.WARNING,
    "The package pins a host that the policy does not know",
    "Nobody who rotates keys by the policy will think of it.",
)
STRAY_PINS = LintRule(
    "HF705",
    Severity.WARNING,
    "A pin stands in the package that the policy does not have",
    "It may be of a former key, a test, or a library. If it is in use, its rotation is planned by "
    "nobody.",
)
UNREADABLE = LintRule(
    "HF706",
    Severity.WARNING,
    "A part of the package could not be looked at",
    "What is in it is not known, and so neither is what it pins.",
)
MISTAKEN = LintRule(
    "HF707",
    Severity.ERROR,
    "The configuration in the package has a mistake",
    "The platform refuses it, or passes over what it does not understand.",
)
LOCKED_OUT = LintRule(
    "HF708",
    Severity.ERROR,
    "Clients with this package would refuse the server",
    "Its pins do not match what the server shows now.",
    _SOURCE,
)
NONE_NAMED = LintRule(
    "HF709",
    Severity.ERROR,
    "The manifest names no configuration",
    "Android reads the file that android:networkSecurityConfig names, and no other. Pins in a file "
    "that looks like one protect nobody.",
    _MANIFEST,
)
NOT_NAMED = LintRule(
    "HF710",
    Severity.WARNING,
    "A configuration is not in force",
    "The manifest names another file, and Android reads that one alone.",
    _MANIFEST,
)
RULES = (
    NO_PINS,
    OTHER_PINS,
    MISSING_HOST,
    OTHER_HOST,
    STRAY_PINS,
    UNREADABLE,
    MISTAKEN,
    LOCKED_OUT,
    NONE_NAMED,
    NOT_NAMED,
)


def artifact_findings(policy: Policy, found: Sequence[Found]) -> Iterator[Finding]:
    """Say what speaks against a package.

    Args:
        policy: The source of its pins.
        found: What is in its files.
    """
    has_pins = False
    known = {pin for pin_set in policy.pin_sets for pin in pin_set.pins}
    for one in found:
        if one.in_force is not None:
            yield from _not_in_force(one, one.in_force)
            continue
        if one.problem:
            rule = MISTAKEN if one.format is not None else UNREADABLE
            yield rule.finding(one.name, one.problem, "look at it by other means")
        if one.format is not None and one.reading is not None:
            for problem in one.reading.problems:
                yield MISTAKEN.finding(f"{one.name}: {problem.place}", problem.message, problem.fix)
            has_pins = has_pins or any(rule.pins for rule in one.reading.rules)
            yield from _compared(policy, one.reading.rules, one.format.semantics, one.name)
        if one.pins:
            has_pins = True
            for pin in sorted(one.pins - known, key=str):
                yield STRAY_PINS.finding(
                    one.name, f"{pin} is in no set", "find out whose key it is, and remove it"
                )
    if not has_pins:
        reason = "neither a configuration with pins nor a text that is one was found"
        yield NO_PINS.finding("the package", reason, "look at how it was built")


def _not_in_force(one: Found, in_force: Sequence[str]) -> Iterator[Finding]:
    if not one.all_pins:
        return
    if in_force:
        reason = f"the manifest names {', '.join(in_force)}"
        yield NOT_NAMED.finding(one.name, reason, "remove it, or name it")
    else:
        action = f'write android:networkSecurityConfig="@xml/{_stem(one.name)}" on <application>'
        yield NONE_NAMED.finding(one.name, "Android does not read it", action)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _compared(
    policy: Policy, shipped: Sequence[Rule], semantics: Semantics, name: str
) -> Iterator[Finding]:
    """Compare a configuration with the one that the policy would be exported as."""
    meant, has_rules = RuleIndex(rules_of(policy, semantics).rules), RuleIndex(shipped)
    for host in _hosts(meant.rules):
        wanted, has = _pins_for(meant, semantics, host), _pins_for(has_rules, semantics, host)
        place = f"{name}: {host}"
        if wanted and not has:
            yield MISSING_HOST.finding(
                place, "it has no pins", "export the policy, and build again"
            )
        elif wanted != has:
            missing, more = _some(wanted - has), _some(has - wanted)
            said = [f"it lacks {missing}"] * bool(missing) + [f"it has {more}"] * bool(more)
            yield OTHER_PINS.finding(
                place, " and ".join(said), "export the policy, and build again"
            )
    for host in _hosts(shipped):
        if _pins_for(has_rules, semantics, host) and not rules_for(meant, semantics, host):
            yield OTHER_HOST.finding(
                f"{name}: {host}", "no set covers it", "add it to the policy, or remove it"
            )


def live_findings(
    found: Sequence[Found], host: str, chain: VerifiedChain, now: datetime
) -> Iterator[Finding]:
    """Say which configurations would refuse what a server shows.

    Args:
        found: What is in the files of a package.
        host: The canonical host.
        chain: What was verified of it.
        now: The time, with an offset.
    """
    for one in found:
        if one.format is None or one.reading is None or one.in_force is not None:
            continue
        semantics = one.format.semantics
        verdict = decide(one.reading.rules, semantics, host, chain, now)
        if not verdict.allowed:
            yield LOCKED_OUT.finding(
                f"{one.name}: {host}",
                f"{semantics.title} refuses it: {verdict.reason}",
                "do not ship it; look at the server and the policy",
                subject=host,
            )


def _hosts(rules: Sequence[Rule]) -> list[str]:
    """Return a host for each kind that the rules tell apart, in their order."""
    hosts: dict[str, None] = {}
    for rule in rules:
        for pattern in patterns_of(rule.hosts):
            hosts |= dict.fromkeys(_like(pattern))
    return list(hosts)


def _like(pattern: HostPattern) -> tuple[str, ...]:
    return tuple(name.replace("*", "any") for name in representatives(pattern))


def _pins_for(rules: RuleIndex, semantics: Semantics, host: str) -> frozenset[Pin]:
    return frozenset(
        pin
        for rule in rules_for(rules, semantics, seen_by(semantics, host))
        if not rule.exempt
        for pin in rule.pins
    )


def _some(pins: frozenset[Pin]) -> str:
    return ", ".join(sorted(map(str, pins)))
