"""Lint of a policy: what can be known against it from the policy and the date alone.

A policy that cannot be used is a `PolicyError` when it is loaded; `problems_as_findings` puts its
problems into the same shape. Everything else here is about policies that load and would still hurt:
rules HF101 to HF162, all of them in `RULES`, from which docs/lint-rules.md is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from holdfast.errors import PolicyError
from holdfast.findings.finding import Finding, Severity
from holdfast.formats import lint_keys, lint_reach, lint_time
from holdfast.formats.lint_rule import Rule
from holdfast.pins.policy import Policy

UNUSABLE = Rule(
    "HF100",
    Severity.ERROR,
    "The policy cannot be used",
    "A policy with a mistake is refused as a whole when it is loaded: a guess at what was meant "
    "could pin nothing.",
)
RULES = (UNUSABLE, *lint_keys.RULES, *lint_time.RULES, *lint_reach.RULES)
"""Every rule, by id."""


def lint(
    policy: Policy, *, now: datetime, public_suffix: Callable[[str], bool] | None = None
) -> tuple[Finding, ...]:
    """Say everything that is to be said against a policy.

    Args:
        policy: The policy.
        now: The time at which it is judged, with an offset.
        public_suffix: Says whether a canonical host is a public suffix. Without it HF140 is not
            checked.

    Returns:
        The findings, rule by rule within each group; none for a policy without flaw.
    """
    return (
        *lint_keys.key_findings(policy),
        *lint_time.time_findings(policy, now),
        *lint_reach.reach_findings(policy, public_suffix),
    )


def problems_as_findings(error: PolicyError) -> tuple[Finding, ...]:
    """Turn each problem of a policy that could not be loaded into a finding."""
    return tuple(
        replace(
            UNUSABLE.finding(problem.place, problem.message, problem.fix),
            file=error.source,
        )
        for problem in error.problems
    )
