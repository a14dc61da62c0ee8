"""Lint of what a policy reaches: hosts that are pinned, seem to be, or cannot be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule
from holdfast.pins.host_pattern import HostPattern, Reach, is_ip_literal
from holdfast.pins.pin_set import Mode, PinSet, Redirects, Trust, probed_endpoints
from holdfast.pins.policy import Policy, Unlisted

PUBLIC_SUFFIX = Rule(
    "HF140",
    Severity.ERROR,
    "A wildcard over a public suffix",
    "Names below a public suffix belong to strangers, who can neither hold these keys nor ask to "
    "be left out.",
    "https://publicsuffix.org/learn/",
)
SHADOWED = Rule(
    "HF141",
    Severity.WARNING,
    "A weaker set takes hosts from an enforced one",
    "The most specific pattern wins alone; sets are not added up. For the hosts of the narrower "
    "pattern the enforced set counts for nothing.",
)
UNPROBED = Rule(
    "HF142",
    Severity.WARNING,
    "The set cannot be probed",
    "A wildcard names no host to connect to, so `holdfast check` says nothing about this set. "
    "Pins that nobody holds against the live service go wrong unseen.",
    "https://status.xmatters.com/incidents/z640qg809qdd",
)
OPEN_REDIRECTS = Rule(
    "HF143",
    Severity.NOTE,
    "Redirects may leave the pinned hosts",
    "A pinned server, or whoever can make it redirect, may send the client on to a host without "
    "pins.",
    "RFC 9110 section 15.4",
)
STRICT_REPORT_ONLY = Rule(
    "HF144",
    Severity.WARNING,
    "Strict, but not enforced",
    "`strict` rules out exceptions to a refusal, and a report-only set refuses nothing. One of "
    "the two keys is not what its writer meant.",
)
NO_OWNER = Rule(
    "HF145",
    Severity.NOTE,
    "Nobody to ask",
    "A refusal tells people to ask the set's owner, and confirming a new key needs one. Without a "
    "name, pinning is switched off instead.",
    "https://github.com/ImranR98/Obtainium/issues/3262",
)
EMPTY_POLICY = Rule(
    "HF160",
    Severity.WARNING,
    "The policy has no pin set",
    "Such a policy loads and pins nothing, which is easily taken for the opposite.",
    "https://github.com/square/okhttp/issues/1947",
)
NOTHING_ENFORCED = Rule(
    "HF161",
    Severity.WARNING,
    "Nothing is enforced",
    "Every set is report-only: an interception is reported and succeeds. That is right for a "
    "first rollout, not as a state to stay in.",
    "https://github.com/Expensify/App/blob/main/config/certificatePinning/README.md",
)
UNLISTED_ALLOWED = Rule(
    "HF162",
    Severity.NOTE,
    "Hosts that no pattern covers are not pinned",
    "Often that is meant. A mistyped pattern or a forgotten host looks the same.",
)
RULES = (
    PUBLIC_SUFFIX,
    SHADOWED,
    UNPROBED,
    OPEN_REDIRECTS,
    STRICT_REPORT_ONLY,
    NO_OWNER,
    EMPTY_POLICY,
    NOTHING_ENFORCED,
    UNLISTED_ALLOWED,
)


def reach_findings(
    policy: Policy, public_suffix: Callable[[str], bool] | None
) -> Iterator[Finding]:
    """Find hosts that are pinned by mistake, or not pinned although it seems so."""
    for pin_set in policy.pin_sets:
        if public_suffix is not None:
            yield from _public_suffixes(pin_set, public_suffix)
        yield from _each_set(pin_set)
    yield from _shadowed(policy)
    yield from _whole_policy(policy)


def _public_suffixes(pin_set: PinSet, public_suffix: Callable[[str], bool]) -> Iterator[Finding]:
    for index, pattern in enumerate(pin_set.hosts):
        if pattern.reach is not Reach.EXACT and public_suffix(pattern.host):
            yield PUBLIC_SUFFIX.in_set(
                pin_set.name,
                f"hosts[{index}]",
                f"{pattern} covers names that are registered by others",
                f"write the owner's own name, as in **.your-name.{pattern.host}",
            )


def _each_set(pin_set: PinSet) -> Iterator[Finding]:
    enforced = pin_set.mode is Mode.ENFORCE
    if pin_set.hosts and not probed_endpoints(pin_set):
        yield UNPROBED.in_set(
            pin_set.name,
            "endpoints",
            "it has wildcard patterns only, and no endpoint",
            'list at least one real host, as in endpoints = ["https://www.example.com"]',
        )
    if enforced and pin_set.redirects is Redirects.ANY:
        yield OPEN_REDIRECTS.in_set(
            pin_set.name,
            "redirects",
            "redirects to hosts without pins are followed",
            "remove it, unless the service needs such a redirect and nothing secret goes along",
        )
    if pin_set.strict and not enforced:
        yield STRICT_REPORT_ONLY.in_set(
            pin_set.name,
            "strict",
            "the set is report-only",
            'write mode = "enforce", or remove strict',
        )
    if pin_set.owner is None:
        yield NO_OWNER.in_set(
            pin_set.name,
            "owner",
            "it names no owner",
            'write who confirms keys, as in owner = "payments team <pay@example.com>"',
        )


def _shadowed(policy: Policy) -> Iterator[Finding]:
    wildcards = {
        pattern: pin_set
        for pin_set in policy.pin_sets
        if pin_set.mode is Mode.ENFORCE
        for pattern in pin_set.hosts
        if pattern.reach is not Reach.EXACT
    }
    for pin_set in policy.pin_sets:
        for index, pattern in enumerate(pin_set.hosts):
            wider = _next_wider(pattern, wildcards)
            if wider is None:
                continue
            weakness = _weakness(pin_set, wildcards[wider])
            if weakness is not None:
                yield SHADOWED.in_set(
                    pin_set.name,
                    f"hosts[{index}]",
                    f"{pattern} is {weakness} and takes its hosts from {wider}, which "
                    f"pin_set.{wildcards[wider].name} enforces",
                    "make this set as strict, or remove the pattern",
                )


def _next_wider(pattern: HostPattern, wildcards: dict[HostPattern, PinSet]) -> HostPattern | None:
    """Return the most specific enforced wildcard that loses hosts to a pattern."""
    ancestor = "" if is_ip_literal(pattern.host) else pattern.host  # no wildcard reaches addresses
    while ancestor:
        for reach in (Reach.ONE_LABEL, Reach.ANY_DEPTH):
            wider = HostPattern(ancestor, reach)
            if wider in wildcards and wider != pattern and _overlap(wider, pattern):
                return wider
        ancestor = ancestor.partition(".")[2]
    return None


def _overlap(wider: HostPattern, pattern: HostPattern) -> bool:
    """Tell whether a wildcard and a narrower pattern have hosts in common."""
    # `*.h` covers b.h, and yet `*.h` and `*.b.h` have none.
    both_one_label = wider.reach is pattern.reach is Reach.ONE_LABEL
    return wider.covers(pattern.host) and not both_one_label


def _weakness(pin_set: PinSet, enforced: PinSet) -> str | None:
    """Say in what a set is weaker than an enforced one, if it is."""
    if pin_set.mode is Mode.REPORT_ONLY:
        return "report-only"
    if pin_set.trust is Trust.PINS_ONLY and enforced.trust is not Trust.PINS_ONLY:
        return "pins-only"
    return None


def _whole_policy(policy: Policy) -> Iterator[Finding]:
    if not policy.pin_sets:
        reason = f"no host is pinned, and unlisted is {policy.unlisted.value}"
        yield EMPTY_POLICY.finding("pin_set", reason, "add a set: `holdfast pin HOST`")
        return
    if all(pin_set.mode is Mode.REPORT_ONLY for pin_set in policy.pin_sets):
        yield NOTHING_ENFORCED.finding(
            "pin_set",
            "every set is report-only: no connection is refused for its pins",
            'write mode = "enforce" once the reports hold no surprise',
        )
    elif policy.unlisted is Unlisted.ALLOW:
        yield UNLISTED_ALLOWED.finding(
            "holdfast.unlisted",
            'unlisted is "allow": other hosts are neither pinned nor reported',
            'write "report-only" to hear of them, or "refuse" when every host is known',
        )
