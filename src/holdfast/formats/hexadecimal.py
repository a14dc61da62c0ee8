"""Digests in hexadecimal, as Postfix, Envoy and DNS have them."""

from __future__ import annotations

from holdfast.errors import HoldfastError, Problem
from holdfast.pins.pin import Pin, PinAlgorithm

__all__ = ["colons", "pin_in"]


def colons(pin: Pin) -> str:
    """Return a digest as pairs of upper-case digits between colons."""
    return pin.digest.hex(":").upper()


def pin_in(text: str, algorithm: PinAlgorithm, place: str, problems: list[Problem]) -> Pin | None:
    """Read a digest with or without colons, in any case."""
    try:
        return Pin.from_hex(text.replace(":", ""), algorithm)
    except HoldfastError as error:
        problems.append(Problem.of(place, error, "take the digest again"))
        return None
