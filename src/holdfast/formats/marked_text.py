"""Lines kept in a file that belongs to somebody else: source code, command lines, maps.

What stands between two lines with our words is replaced, in the indentation of the first; a file
without them is not touched, since nothing says where pins belong in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import PolicyError, Problem

__all__ = ["put_between_marks", "text_of"]

BEGIN, END = "holdfast: begin", "holdfast: end"
_LIMIT = 16 * 1024 * 1024  # bytes


def text_of(data: bytes) -> str:
    """Return the text of a file.

    Raises:
        PolicyError: It is not in UTF-8, or too long.
    """
    if len(data) > _LIMIT:
        message = f"the file has more than {_LIMIT} bytes"
        raise PolicyError([Problem("", message, "is it the right one?")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PolicyError([Problem("", "the file is not in UTF-8", "convert it")]) from None


def put_between_marks(
    lines: Sequence[str],
    present: bytes | None,
    *,
    comment: str,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> bytes:
    """Put lines between the two marks.

    Args:
        lines: What is to stand there.
        present: What the file holds; None for a new one.
        comment: How a comment begins there.
        before: What a new file has before the first mark.
        after: What it has after the second.

    Raises:
        PolicyError: The marks are not there, each once and in this order.
    """
    if present is None:
        whole = [*before, f"{comment} {BEGIN}", *lines, f"{comment} {END}", *after]
        return ("\n".join(whole) + "\n").encode()
    text = text_of(present)
    line_end = "\r\n" if "\r\n" in text else "\n"
    rows = text.split(line_end)
    begins = [number for number, row in enumerate(rows) if BEGIN in row]
    ends = [number for number, row in enumerate(rows) if END in row]
    if len(begins) != 1 or len(ends) != 1 or begins > ends:
        message = "nothing says where the pins belong in the file"
        fix = f'write "{comment} {BEGIN}" and "{comment} {END}" on two lines there'
        raise PolicyError([Problem("", message, fix)])
    first, last = begins[0], ends[0]
    indent = rows[first][: len(rows[first]) - len(rows[first].lstrip())]
    rows[first + 1 : last] = [indent + line if line else line for line in lines]
    mark = present[:3] if present.startswith(b"\xef\xbb\xbf") else b""
    return mark + line_end.join(rows).encode()
