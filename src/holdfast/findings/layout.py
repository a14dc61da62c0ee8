"""Plain text in 100 columns: wrapping, two columns side by side, times. Knows nothing of pins."""

from __future__ import annotations

import unicodedata
from datetime import UTC
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

WIDTH = 100


def columns(text: str) -> int:
    """Return how many columns of a terminal the text takes (UAX #11: wide characters take two)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` columns: at spaces, and within longer words."""
    lines = [""]
    for word in text.split():
        if columns(f"{lines[-1]} {word}") <= width and lines[-1]:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if columns(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines


def labeled(label: str, text: str, *, indent: int, width: int) -> list[str]:
    """Put a label before wrapped text; further lines begin below the text.

    Args:
        label: Shown once.
        text: What follows it.
        indent: The columns that the label takes.
        width: The columns of label and text together.
    """
    first, *rest = wrapped(text, width - indent)
    return [(label.ljust(indent) + first).rstrip(), *(" " * indent + line for line in rest)]


def side_by_side(left: Sequence[str], right: Sequence[str], *, left_width: int) -> list[str]:
    """Put two columns of lines beside each other, two spaces apart."""
    return [
        f"{one}{' ' * (left_width - columns(one))}  {other}".rstrip()
        for one, other in zip_longest(left, right, fillvalue="")
    ]


def rfc3339(time: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
