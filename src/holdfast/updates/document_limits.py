"""How large a document of an update may be. The limits are looked at before anything is parsed.

A hundred thousand hosts with two pins each, an owner and times of their own, stay below all of
them. Whoever has stolen one signing key cannot fill the memory of clients.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import Problem

__all__ = [
    "MAX_BUNDLE_BYTES",
    "MAX_DEPTH",
    "MAX_LIST_BYTES",
    "MAX_PINS",
    "MAX_TOKENS",
    "pin_count_problems",
    "size_problems",
]

MAX_BUNDLE_BYTES = 64 * 1024 * 1024  # as a policy in a file; 100,000 hosts take 29 MB
MAX_LIST_BYTES = 1024 * 1024  # 19,000 denied keys
MAX_DEPTH = 8  # a bundle has five levels
MAX_PINS = 500_000
# Quotes, commas and opening brackets. Each value takes two of them, and at most 80 bytes as a
# Python object beside its text. 100,000 sets with seven keys each have four million.
MAX_TOKENS = 10_000_000

_FIX = "publish a smaller policy"
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def size_problems(data: bytes, limit: int) -> list[Problem]:
    """Find what makes a JSON document dangerous to parse: bytes, values, depth.

    Args:
        data: The document; it need not be JSON at all.
        limit: The bytes that it may have.
    """
    if len(data) > limit:
        return [Problem("", f"it has {len(data)} bytes, more than {limit}", _FIX)]
    if sum(map(data.count, (b'"', b",", b"[", b"{"))) > MAX_TOKENS:
        return [Problem("", f"it has more than {MAX_TOKENS} quotes, commas and brackets", _FIX)]
    if _is_deeper_than(MAX_DEPTH, data):
        fix = "publish it again"
        return [Problem("", f"it is nested more than {MAX_DEPTH} levels deep, or no JSON", fix)]
    return []


def pin_count_problems(policy: Mapping[str, object]) -> list[Problem]:
    """Find more pins than a policy document may have, before one of them is read."""
    pin_sets = policy.get("pin_set")
    tables = list(pin_sets.values()) if isinstance(pin_sets, Mapping) else []
    lists = [
        table.get(key)
        for table in (*tables, policy.get("holdfast"))
        if isinstance(table, Mapping)
        for key in ("leaf", "backup", "ca", "denied")
    ]
    count = sum(len(entries) for entries in lists if isinstance(entries, list))
    if count <= MAX_PINS:
        return []
    return [Problem("policy", f"it has {count} pins, more than {MAX_PINS}", _FIX)]


def _is_deeper_than(limit: int, data: bytes) -> bool:
    """Tell whether brackets outside of JSON texts are nested deeper, or do not pair."""
    # Without escapes, each second piece between quotes is a text.
    pieces = data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    brackets = b"".join(pieces).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")  # one level, the innermost, of all
    return bool(brackets)
