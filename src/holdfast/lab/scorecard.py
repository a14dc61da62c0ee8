"""The score of one client: its results by class, for people and for programs. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.findings.finding import Finding, Severity
from holdfast.lab.attack import AttackClass
from holdfast.lab.judgment import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.lab.evidence import Evidence

__all__ = ["HEADERS", "Scorecard"]

HEADERS = ("outcome", "class", "attack", "what happened")

_ACTIONS = {
    Outcome.MISSED: "let the client judge the verified chain before it sends anything",
    Outcome.REFUSED_HONEST: "make the client accept the right key: try it with this attack alone",
    Outcome.HUNG: "give the client a deadline for the handshake and for the answer",
    Outcome.CRASHED: "make the client refuse with an error that its caller can handle",
    Outcome.NOT_APPLICABLE: "nothing, unless the client can do this after all",
}


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What came out for one client.

    Attributes:
        command: The client, as it was given.
        results: One for each attack.
        evidence: The circumstances; None where they do not matter.
    """

    command: tuple[str, ...]
    results: tuple[Result, ...]
    evidence: Evidence | None = None

    @property
    def exit_code(self) -> int:
        """1 if anything speaks against the client, 3 if no attack applies to it, otherwise 0."""
        outcomes = {result.outcome for result in self.results}
        if any(outcome.failed for outcome in outcomes):
            return 1
        return 0 if Outcome.CAUGHT in outcomes else 3

    @property
    def summary(self) -> str:
        """How many of each outcome, in words."""
        return ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items() if count)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the rows of a table, by class; `HEADERS` are its titles."""
        return [
            (result.outcome, result.attack.attack_class, result.attack.id, result.detail)
            for result in self._by_class()
        ]

    def as_json(self) -> dict[str, object]:
        """Return everything as the object that `--format json` prints."""
        return {
            "command": list(self.command),
            "evidence": self.evidence and self.evidence.as_json(),
            "summary": {outcome.value: count for outcome, count in self._counts.items()},
            "results": [
                {
                    "attack": result.attack.id,
                    "title": result.attack.title,
                    "class": result.attack.attack_class.value,
                    "transport": result.attack.transport,
                    "outcome": result.outcome.value,
                    "moment": result.moment and result.moment.value,
                    "detail": result.detail,
                    "stands_for": list(result.attack.stands_for),
                    "masvs": list(result.attack.masvs),
                }
                for result in self._by_class()
            ],
        }

    def findings(self) -> list[Finding]:
        """Return a finding for each attack that was not caught; the attack is its rule."""
        return [
            Finding(
                rule=result.attack.id,
                severity=Severity.ERROR if result.outcome.failed else Severity.NOTE,
                place=result.attack.id,
                reason=f"{result.outcome}: {result.detail}",
                action=_ACTIONS[result.outcome],
                source=", ".join(result.attack.stands_for) or None,
            )
            for result in self._by_class()
            if result.outcome is not Outcome.CAUGHT
        ]

    def titles(self) -> dict[str, str]:
        """Return what each attack is about, by its id."""
        return {result.attack.id: result.attack.title for result in self._by_class()}

    def caught(self) -> list[str]:
        """Return the ids of the attacks that were caught."""
        return [result.attack.id for result in self._by_class() if result.outcome is Outcome.CAUGHT]

    @property
    def _counts(self) -> dict[Outcome, int]:
        counter = Counter(result.outcome for result in self.results)
        return {outcome: counter[outcome] for outcome in Outcome}

    def by_class(self) -> dict[AttackClass, tuple[Result, ...]]:
        """Return the results of each class that has some, in the order of the classes."""
        groups = {
            attack_class: tuple(
                result for result in self.results if result.attack.attack_class is attack_class
            )
            for attack_class in AttackClass
        }
        return {attack_class: results for attack_class, results in groups.items() if results}

    def _by_class(self) -> Iterator[Result]:
        for results in self.by_class().values():
            yield from results
