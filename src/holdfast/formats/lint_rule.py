"""A lint rule: what it is called, how grave it is, why it exists and where that can be read."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.findings.finding import Finding, Severity
from holdfast.pins.pin_set import place_of


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of lint. Its id is stable: people write it into their tickets."""

    id: str
    severity: Severity
    title: str
    why: str
    source: str | None = None
    """A URL, or an RFC and its section; None where the rule follows from how a policy decides."""

    def finding(
        self, place: str, reason: str, action: str, *, subject: str | None = None
    ) -> Finding:
        """Return what the rule says about one place of a policy."""
        return Finding(
            rule=self.id,
            severity=self.severity,
            place=place,
            reason=reason,
            action=action,
            source=self.source,
            subject=subject,
        )

    def in_set(self, name: str, key: str, reason: str, action: str) -> Finding:
        """Return what the rule says about a key of a pin set, placed as the loader places it."""
        return self.finding(f"{place_of(name)}.{key}", reason, action, subject=name)
