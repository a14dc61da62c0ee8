"""Reading of plain data (property lists, YAML, JSON): each mistake is told with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.errors import HoldfastError, Mistake, PinFormatError, Problem
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin, quoted

__all__ = ["distinct", "flag_in", "host_of", "key_pin", "pins_in", "table_in", "texts_in"]

_BASE64_LENGTH = 44


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


def pins_in(
    texts: tuple[str, ...], place: str, problems: list[Problem], losses: list[Loss]
) -> tuple[Pin, ...]:
    """Read the digests of keys in base64, as most platforms have them."""
    pins = []
    for index, text in enumerate(texts):
        there = f"{place}[{index}]"
        pin = key_pin(text, there, problems)
        if pin is not None:
            pins.append((there, pin))
    return distinct(pins, losses)


def key_pin(text: str, place: str, problems: list[Problem]) -> Pin | None:
    """Read the digest of a key in base64."""
    try:
        pin = Pin.parse(f"sha256/{text}")
    except PinFormatError as error:
        problems.append(Problem.of(place, error, "take the pin again"))
        return None
    if len(text) > _BASE64_LENGTH:  # curl's second slash, which is curl's alone
        message, fix = f"{quoted(text)} is no digest", "remove the slash before it"
        problems.append(Problem(place, message, fix, Mistake.ENCODING))
        return None
    return pin


def distinct(pins: Iterable[tuple[str, Pin]], losses: list[Loss]) -> tuple[Pin, ...]:
    """Return pins, each once, and tell of those that stand twice.

    Args:
        pins: Each with its place.
        losses: Gets what is told.
    """
    places: dict[Pin, str] = {}
    for place, pin in pins:
        if pin in places:
            losses.append(
                Loss(
                    kind=LossKind.DUPLICATE,
                    effect=Effect.NEITHER,
                    place=place,
                    consequence=f"{pin} stands at {places[pin]} already and counts once",
                )
            )
        places.setdefault(pin, place)
    return tuple(places)


def host_of(text: str, place: str, problems: list[Problem]) -> str | None:
    """Return a host in its canonical form, as a platform without wildcards has it.

    The text has to be that form: platforms compare what is written.
    """
    try:
        host = canonical_host(text)
    except HoldfastError as error:
        problems.append(Problem.of(place, error, "mend it"))
        return None
    if host != text:
        problems.append(Problem(place, f"{quoted(text)} matches no host", f"write {host}"))
        return None
    return host


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
