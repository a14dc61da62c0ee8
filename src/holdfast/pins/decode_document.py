"""From the text of a policy to plain data, in TOML or JSON (RFC 8259), both read strictly.

1. A key that stands twice is an error: parsers disagree on which of the two counts.
2. What JSON does not have (NaN, Infinity) is an error.
3. Nesting too deep for the parser is an error like any other, not a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NoReturn

from holdfast.errors import PolicyError, Problem
from holdfast.pins.pin import quoted


def decode_document(
    text: str, kind: Literal["toml", "json"], *, source: str | None = None
) -> dict[str, object]:
    """Decode the text of a policy.

    Args:
        text: The whole document.
        kind: The language it is written in.
        source: The file it comes from, for the error.

    Raises:
        PolicyError: The text is not TOML or JSON, or has a key twice.
    """
    try:
        document = _decode_toml(text) if kind == "toml" else _decode_json(text)
    except RecursionError:
        fix = "a policy has at most three levels"
        problem = Problem("", f"the {kind.upper()} is nested too deeply", fix)
        raise PolicyError([problem], source=source) from None
    except PolicyError as error:
        raise PolicyError(error.problems, source=source) from None
    except ValueError as error:  # of the decoders, or of int() for a number of 5,000 digits
        problem = Problem("", f"this is not {kind.upper()}: {error}", "mend it there")
        raise PolicyError([problem], source=source) from None
    if not isinstance(document, dict):
        fix = 'write {"holdfast": {...}, "pin_set": {...}}'
        raise PolicyError([Problem("", "the document is not an object", fix)], source=source)
    return document


def _decode_toml(text: str) -> dict[str, object]:
    import tomllib  # here, since not everyone who imports Holdfast reads TOML

    return tomllib.loads(text)


def _decode_json(text: str) -> object:
    import json

    has_repeated_keys = False

    def check(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal has_repeated_keys
        table = dict(pairs)
        if len(table) < len(pairs):
            has_repeated_keys = True
        return table

    document: object = json.loads(text, object_pairs_hook=check, parse_constant=_refuse_constant)
    if has_repeated_keys:
        # The hook does not know where it is: a second reading, which keeps every pair, finds it.
        fix = "keep one of them"
        raise PolicyError(
            [
                Problem(place, "the key stands here twice", fix)
                for place in _repeated_keys(json.loads(text, object_pairs_hook=_Pairs), "")
            ]
        )
    return document


class _Pairs(list[tuple[str, object]]):
    """A JSON object as the pairs that stand in it."""


def _repeated_keys(value: object, place: str) -> Iterator[str]:
    """Find the places of keys that stand twice in one object."""
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inner in value:
            shown = key if key.isprintable() else quoted(key)
            inner_place = f"{place}.{shown}" if place else shown
            if key in seen:
                yield inner_place
            seen.add(key)
            yield from _repeated_keys(inner, inner_place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _repeated_keys(inner, f"{place}[{index}]")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
