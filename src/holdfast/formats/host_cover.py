"""From host patterns to the entries that a platform has for hosts. Pure.

Where no choice of entries covers just the same hosts, more hosts are covered rather than fewer: a
host that is refused is found by trying, a host that is not pinned any more is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce
from itertools import combinations
from operator import or_
from typing import NamedTuple

from holdfast.formats.platform import Kinds, PlatformHost, Semantics
from holdfast.pins.host_pattern import HostPattern, Reach, is_ip_literal

__all__ = ["Cover", "cover", "patterns_of"]

_WANTED = {
    Reach.EXACT: Kinds.APEX,
    Reach.ONE_LABEL: Kinds.ONE_BELOW,
    Reach.ANY_DEPTH: Kinds.ANY_DEPTH,
}
_PATTERNS = {
    Kinds.APEX: (Reach.EXACT,),
    Kinds.ONE_BELOW: (Reach.ONE_LABEL,),
    Kinds.ONE_LABEL_DOWN: (Reach.EXACT, Reach.ONE_LABEL),
    Kinds.ANY_DEPTH: (Reach.ANY_DEPTH,),
}
_WORDS = {
    Kinds.APEX: "itself",
    Kinds.ONE_BELOW: "the hosts one label below it",
    Kinds.DEEPER: "the hosts two or more labels below it",
}


class Cover(NamedTuple):
    """The entries for one host of some patterns.

    Attributes:
        host: The host.
        wanted: What the patterns cover at and below it.
        entries: What the platform is to have; nothing where it cannot say any of it.
    """

    host: str
    wanted: Kinds
    entries: tuple[PlatformHost, ...]

    @property
    def covered(self) -> Kinds:
        """What the entries cover at and below the host."""
        return _union(entry.kinds for entry in self.entries)

    @property
    def missing(self) -> Kinds:
        """What is wanted and not covered."""
        return self.wanted & ~self.covered

    @property
    def extra(self) -> Kinds:
        """What is covered and not wanted."""
        return self.covered & ~self.wanted


def cover(patterns: Iterable[HostPattern], semantics: Semantics) -> tuple[Cover, ...]:
    """Choose the entries for some patterns, host by host, in the order of their hosts."""
    wanted: dict[str, Kinds] = {}
    for pattern in patterns:
        wanted[pattern.host] = wanted.get(pattern.host, Kinds(0)) | _WANTED[pattern.reach]
    return tuple(_cover_of(host, kinds, semantics) for host, kinds in wanted.items())


def patterns_of(hosts: Iterable[PlatformHost]) -> tuple[HostPattern, ...]:
    """Return the patterns that cover what some entries cover, each once."""
    patterns: dict[HostPattern, None] = {}
    for entry in hosts:
        for reach in _PATTERNS[entry.kinds]:
            patterns[HostPattern(entry.host, reach)] = None
    return tuple(patterns)


def in_words(kinds: Kinds) -> str:
    """Say which hosts are meant, beside the host that they are counted from."""
    return " and ".join(words for kind, words in _WORDS.items() if kind in kinds)


def _cover_of(host: str, wanted: Kinds, semantics: Semantics) -> Cover:
    if is_ip_literal(host) and not semantics.addresses:
        return Cover(host, wanted, ())
    most = 1 if semantics.one_entry_a_host else len(semantics.entries)
    chosen = _chosen(wanted, semantics.entries, most)
    return Cover(host, wanted, tuple(PlatformHost(host, kinds) for kinds in chosen))


@lru_cache(maxsize=256)  # there are as many as platforms differ, whatever the number of hosts
def _chosen(wanted: Kinds, offered: tuple[Kinds, ...], most: int) -> tuple[Kinds, ...]:
    """Return the entries that miss least, then cover least beside, then are the fewest."""
    offers = [chosen for number in range(most + 1) for chosen in combinations(offered, number)]

    def cost(chosen: tuple[Kinds, ...]) -> tuple[int, int, int]:
        covered = _union(chosen)
        return _count(wanted & ~covered), _count(covered & ~wanted), len(chosen)

    return min(offers, key=cost)


def _union(kinds: Iterable[Kinds]) -> Kinds:
    return reduce(or_, kinds, Kinds(0))


def _count(kinds: Kinds) -> int:
    return kinds.value.bit_count()
