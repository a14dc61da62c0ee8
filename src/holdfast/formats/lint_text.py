"""Lint of what is written: mistakes for which a policy or a file of a platform cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.errors import Mistake, PolicyError
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule

_NEAR_MISSES = "https://github.com/aa22396584/WearWallet-Multiplatform/issues/48"

UNUSABLE = Rule(
    "HF100",
    Severity.ERROR,
    "The policy cannot be used",
    "A policy with a mistake is refused as a whole when it is loaded: a guess at what was meant "
    "could pin nothing. The same goes for a file of another platform.",
)
EMPTY_INPUT = Rule(
    "HF111",
    Severity.ERROR,
    "The pin is the SHA-256 of empty input",
    "Tools that are given nothing to hash print this digest without an error. No key has it, so "
    "the pin never matches.",
    _NEAR_MISSES,
)
ALL_ZERO = Rule(
    "HF112",
    Severity.ERROR,
    "The pin is all zeros",
    "A place-holder was left in place of a pin. It never matches.",
)
LENGTH = Rule(
    "HF113",
    Severity.ERROR,
    "The digest has the wrong length",
    "It was cut off, or is no SHA-256. OkHttp and others take it all the same, and it never "
    "matches.",
    "RFC 7469 section 2.1.1",
)
ENCODING = Rule(
    "HF114",
    Severity.ERROR,
    "The digest is in another encoding",
    "Hexadecimal, URL-safe or unpadded base64 is refused by some platforms; on others it never "
    "matches, or the check is passed over.",
    "RFC 4648 section 4",
)
TWICE = Rule(
    "HF115",
    Severity.WARNING,
    "A pin stands twice",
    "The second one counts for nothing. Often it stands where a backup was meant to be.",
    "RFC 7469 section 2.5",
)
ONE_PIN = Rule(
    "HF116",
    Severity.WARNING,
    "One pin only",
    "When this one key is lost, leaked or replaced, every client is locked out until it has other "
    "pins.",
    "RFC 7469 section 4.3",
)
NO_BACKUP = Rule(
    "HF117",
    Severity.WARNING,
    "No backup for what has to match",
    "There are several pins, and yet the loss of one key locks every client out: nothing can take "
    "its place.",
    "RFC 7469 section 4.3",
)
MISSPELT_KEY = Rule(
    "HF148",
    Severity.ERROR,
    "TrustKit's key as it is meant, not as it is spelt",
    "The constant TSKExcludeSubdomainFromParentPolicy stands for the text "
    "kSKExcludeSubdomainFromParentPolicy. A property list needs that text; the other is passed "
    "over.",
    "https://github.com/datatheorem/TrustKit/blob/037f98777f26757467ea73245f4bb9474cd7d2a9/"
    "TrustKit/TSKTrustKitConfig.m",
)
RULES = (
    UNUSABLE,
    EMPTY_INPUT,
    ALL_ZERO,
    LENGTH,
    ENCODING,
    TWICE,
    ONE_PIN,
    NO_BACKUP,
    MISSPELT_KEY,
)

_RULE_OF = {
    Mistake.EMPTY_INPUT: EMPTY_INPUT,
    Mistake.ALL_ZERO: ALL_ZERO,
    Mistake.LENGTH: LENGTH,
    Mistake.ENCODING: ENCODING,
    Mistake.TWICE: TWICE,
    Mistake.ONE_PIN: ONE_PIN,
    Mistake.NO_BACKUP: NO_BACKUP,
    Mistake.MISSPELT_KEY: MISSPELT_KEY,
}


def problem_findings(error: PolicyError) -> Iterator[Finding]:
    """Turn each problem of what cannot be used into a finding: an error, whatever its rule."""
    for problem in error.problems:
        rule = UNUSABLE if problem.mistake is None else _RULE_OF[problem.mistake]
        found = rule.finding(problem.place, problem.message, problem.fix)
        yield replace(found, severity=Severity.ERROR, file=error.source)
