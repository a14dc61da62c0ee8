"""Lint of a policy: what can be known against it from the policy and the date alone.

A policy that cannot be used is a `PolicyError` when it is loaded; `problems_as_findings` puts its
problems into the same shape. Everything else is about policies, and files of other platforms
(`lint_platform`), that load and would still hurt: rules HF1xx, all of them in `RULES`, from which
docs/lint-rules.md is made.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from holdfast.errors import PolicyError
from holdfast.findings.finding import Finding
from holdfast.formats import (
    lint_keys,
    lint_live,
    lint_platform,
    lint_public_cas,
    lint_reach,
    lint_reports,
    lint_text,
    lint_time,
)
from holdfast.formats.lint_public_cas import PublicRoots
from holdfast.pins.policy import Policy

_GROUPS = (
    lint_text,
    lint_keys,
    lint_live,
    lint_public_cas,
    lint_time,
    lint_reach,
    lint_reports,
    lint_platform,
)
RULES = tuple(sorted((rule for group in _GROUPS for rule in group.RULES), key=lambda rule: rule.id))
"""Every rule, by id."""


def lint(
    policy: Policy,
    *,
    now: datetime,
    public_suffix: Callable[[str], bool] | None = None,
    public_roots: PublicRoots | None = None,
    clients_live_until: datetime | None = None,
) -> tuple[Finding, ...]:
    """Say everything that is to be said against a policy.

    Args:
        policy: The policy.
        now: The time at which it is judged, with an offset.
        public_suffix: Says whether a canonical host is a public suffix. Without it HF140 is not
            checked.
        public_roots: The roots of the public trust stores, by pin. Without them it is not known
            which CA pins are those of one CA, or of one that has new roots (HF128).
        clients_live_until: When the last client is gone. Without it HF126 is not checked.

    Returns:
        The findings, rule by rule within each group; none for a policy without flaw.
    """
    roots = public_roots or {}
    return (
        *lint_keys.key_findings(policy),
        *(
            finding
            for pin_set in policy.pin_sets
            for finding in lint_public_cas.set_findings(pin_set, roots)
        ),
        *lint_time.time_findings(policy, now, clients_live_until),
        *lint_reach.reach_findings(policy, public_suffix),
    )


def problems_as_findings(error: PolicyError) -> tuple[Finding, ...]:
    """Turn each problem of a policy that could not be loaded into a finding."""
    return tuple(lint_text.problem_findings(error))
