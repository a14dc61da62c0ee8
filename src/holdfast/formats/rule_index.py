"""Rules by the hosts that they are for, so that looking one up does not grow with their number.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.formats.overlaps import at_and_above
from holdfast.formats.platform import PlatformHost, Rule

__all__ = ["RuleIndex"]


class RuleIndex:
    """The rules of a file.

    Attributes:
        rules: As the file has them.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._entries: dict[str, list[tuple[int, PlatformHost, Rule]]] = {}
        entries = ((entry, rule) for rule in rules for entry in rule.hosts)
        for place, (entry, rule) in enumerate(entries):
            self._entries.setdefault(entry.host, []).append((place, entry, rule))

    def covering(self, host: str) -> list[tuple[PlatformHost, Rule]]:
        """Return the entries that cover a host, each with its rule, in the order of the file."""
        found = [one for one in self._at_or_above(host) if one[1].covers(host)]
        found.sort(key=lambda one: one[0])
        return [(entry, rule) for _, entry, rule in found]

    def above(self, host: str) -> Iterator[PlatformHost]:
        """Yield the entries for names above a host, whether they cover it or not."""
        return (entry for _, entry, _ in self._at_or_above(host) if entry.host != host)

    def _at_or_above(self, host: str) -> Iterator[tuple[int, PlatformHost, Rule]]:
        return (one for name in at_and_above(host) for one in self._entries.get(name, ()))
