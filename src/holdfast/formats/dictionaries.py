"""Reading of plain data (property lists, YAML, JSON): each mistake is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.errors import HoldfastError, PinFormatError, Problem
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin, quoted

__all__ = ["flag_in", "host_of", "pins_in", "table_in", "texts_in"]


def table_in(
    table: Mapping[str, Any], key: str, place: str, problems: list[Problem]
) -> Mapping[str, Any]:
    """Return the table under a key; an empty one where it is missing or a mistake."""
    value = table.get(key, {})
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    problems.append(Problem(_below(place, key), "this is no dictionary", "write one"))
    return {}


def texts_in(
    table: Mapping[str, Any], key: str, place: str, problems: list[Problem]
) -> tuple[str, ...]:
    """Return the texts under a key; none where they are missing or a mistake."""
    value = table.get(key, [])
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    problems.append(Problem(_below(place, key), "this is no list of texts", "write one"))
    return ()


def flag_in(
    table: Mapping[str, Any], key: str, place: str, problems: list[Problem], *, default: bool
) -> bool:
    """Return the truth value under a key, or the default."""
    value = table.get(key, default)
    if isinstance(value, bool):
        return value
    problems.append(Problem(_below(place, key), "this is not true or false", "write one of them"))
    return default


def pins_in(texts: tuple[str, ...], place: str, problems: list[Problem]) -> tuple[Pin, ...]:
    """Read the digests of keys in base64, as most platforms have them."""
    pins = []
    for index, text in enumerate(texts):
        try:
            pins.append(Pin.parse(f"sha256/{text}"))
        except PinFormatError as error:
            fix = error.hint or "take the pin again"
            problems.append(Problem(f"{place}[{index}]", error.message, fix))
    return tuple(dict.fromkeys(pins))


def host_of(text: str, place: str, problems: list[Problem]) -> str | None:
    """Return a host in its canonical form, as a platform without wildcards has it.

    The text has to be that form: platforms compare what is written.
    """
    try:
        host = canonical_host(text)
    except HoldfastError as error:
        problems.append(Problem(place, error.message, error.hint or "mend it"))
        return None
    if host != text:
        problems.append(Problem(place, f"{quoted(text)} matches no host", f"write {host}"))
        return None
    return host


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
