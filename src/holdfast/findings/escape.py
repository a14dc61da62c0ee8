"""Text from certificates and hosts, made fit to be shown.

A subject may hold whatever its issuer signed: control sequences that rewrite a terminal, marks that
turn the reading direction, line breaks that forge a log entry. All of it is shown, none obeyed.
"""

from __future__ import annotations

import unicodedata
from itertools import accumulate

_CUT = "..."


def escaped(text: str, limit: int) -> str:
    r"""Return text in which everything invisible is written out, as `\x1b` or `\u202e`.

    Invisible are the Unicode categories C (control; format, and so bidi; surrogate, private use,
    unassigned) and Z (separators), except for the space.

    Args:
        text: Text that someone else chose.
        limit: The most characters to return; what is longer ends in `...`.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():  # as almost all text is
        return text
    # Each character takes at least one place, so that the rest cannot matter.
    pieces = [_visible(character) for character in text[: limit + 1]]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    ends = accumulate(map(len, pieces))
    room = limit - len(_CUT)
    return "".join(piece for piece, end in zip(pieces, ends, strict=True) if end <= room) + _CUT


def _visible(character: str) -> str:
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
