"""What differs between two texts, line by line, in time that grows with their length. Pure.

`difflib` compares lines that stand between two long equal stretches with each other, again and
again: for ten thousand exchanged pins that takes minutes. Here lines that stand once in both texts
hold the rest in place (Bram Cohen's patience diff), and only short stretches are left to `difflib`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from itertools import pairwise

__all__ = ["difference"]

_SHORT = 64  # lines; what is longer, and has nothing that stands once, is exchanged as a whole


def difference(
    before: Sequence[str], after: Sequence[str], before_name: str, after_name: str
) -> Iterator[str]:
    """Yield the lines of a unified diff with three lines around each change; none where equal.

    Args:
        before: The lines of one text.
        after: The lines of the other.
        before_name: What the one is called.
        after_name: What the other is called.
    """
    matcher = _Anchored(None, before, after, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes()):
        if number == 0:
            yield f"--- {before_name}"
            yield f"+++ {after_name}"
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
        for tag, start, end, start_after, end_after in group:
            kept = " " if tag == "equal" else "-"
            yield from (kept + line for line in before[start:end])
            if tag != "equal":
                yield from ("+" + line for line in after[start_after:end_after])


def _range(start: int, end: int) -> str:
    """Return a range of lines as a unified diff counts them: from 1, and an empty one from 0."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


class _Anchored(SequenceMatcher[str]):
    """Finds the stretches that two texts have in common, between lines that each has once."""

    a: Sequence[str]
    b: Sequence[str]

    def get_matching_blocks(self) -> list[Match]:
        """Return them in order, with an empty one at the end, as `SequenceMatcher` does."""
        anchors = [(-1, -1), *_anchors(self.a, self.b), (len(self.a), len(self.b))]
        blocks: list[Match] = []
        for (start, start_after), (end, end_after) in pairwise(anchors):
            if start >= 0:
                _add(blocks, Match(start, start_after, 1))
            for block in self._between(start + 1, end, start_after + 1, end_after):
                _add(blocks, block)
        return [*blocks, Match(len(self.a), len(self.b), 0)]

    def _between(self, low: int, high: int, low_after: int, high_after: int) -> Iterator[Match]:
        """Yield what two stretches have in common: at their ends, and within where it is short."""
        start = low
        while low < high and low_after < high_after and self.a[low] == self.b[low_after]:
            low, low_after = low + 1, low_after + 1
        if low > start:
            yield Match(start, low_after - (low - start), low - start)
        same = 0
        while (
            same < min(high - low, high_after - low_after)
            and self.a[high - same - 1] == self.b[high_after - same - 1]
        ):
            same += 1
        if max(high - low, high_after - low_after) - same <= _SHORT:
            within = SequenceMatcher(
                None,
                self.a[low : high - same],
                self.b[low_after : high_after - same],
                autojunk=False,
            )
            for start, start_after, size in within.get_matching_blocks()[:-1]:
                yield Match(low + start, low_after + start_after, size)
        if same:
            yield Match(high - same, high_after - same, same)


def _add(blocks: list[Match], block: Match) -> None:
    """Add a stretch, as one with that before it where they touch."""
    if blocks:
        last = blocks[-1]
        if (last.a + last.size, last.b + last.size) == (block.a, block.b):
            blocks[-1] = Match(last.a, last.b, last.size + block.size)
            return
    blocks.append(block)


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of lines that each text has once: the most that keep their order."""
    times, times_after = Counter(before), Counter(after)
    places = {line: place for place, line in enumerate(after) if times_after[line] == 1}
    pairs = [
        (place, places[line])
        for place, line in enumerate(before)
        if times[line] == 1 and line in places
    ]
    ends: list[int] = []  # the least place in `after` at which so many can end
    of_end: list[int] = []  # the pair that does
    previous: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        previous.append(of_end[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        of_end[length : length + 1] = [number]
    chosen = []
    number = of_end[-1] if of_end else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = previous[number]
    return chosen[::-1]
