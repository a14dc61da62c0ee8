"""The words of a command line that is kept in a file. Pure."""

from __future__ import annotations

import shlex

from holdfast.errors import PolicyError, Problem
from holdfast.formats.marked_text import text_of

__all__ = ["words_of"]


def words_of(data: bytes) -> list[str]:
    """Return the words, without quotes and comments.

    Raises:
        PolicyError: The quotes do not match, or it is no text.
    """
    try:
        return shlex.split(text_of(data), comments=True)
    except ValueError as error:
        problem = Problem("", f"this is no command line: {error}", "close the quotation")
        raise PolicyError([problem]) from None
