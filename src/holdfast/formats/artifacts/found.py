"""The pins in one file of a package: a platform's configuration, or texts that are pins. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, PinFormatError, PolicyError
from holdfast.formats.artifacts.android_binary import as_xml, is_binary_xml
from holdfast.formats.registry import recognized
from holdfast.pins.pin import Pin

if TYPE_CHECKING:
    from holdfast.formats.artifacts.archive import Entry
    from holdfast.formats.registry import Format, Reading

__all__ = ["Found", "found_in"]

# Configurations that are shipped in packages; the others are for servers and command lines.
_SHIPPED = {"android", "apple", "trustkit-android", "trustkit-ios"}
_PIN = re.compile(rb"sha256//?([A-Za-z0-9+/]{43}=)")
# In UTF-16, as Windows and some compilers keep texts.
_WIDE_PIN = re.compile(rb"s\0h\0a\0002\0005\0006\0/\0(?:/\0)?((?:[A-Za-z0-9+/]\0){43}=\0)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in one file.

    Attributes:
        name: Where it is.
        format: The platform's, where it is a configuration.
        reading: What that says.
        pins: Pins that stand in it as texts.
        problem: Why it could not be looked at.
    """

    name: str
    format: Format | None = None
    reading: Reading | None = None
    pins: frozenset[Pin] = frozenset()
    problem: str = ""

    @property
    def all_pins(self) -> frozenset[Pin]:
        """The pins that stand in it, in whatever form."""
        rules = () if self.reading is None else self.reading.rules
        return self.pins.union(pin for rule in rules for pin in rule.pins)


def found_in(entry: Entry) -> Found | None:
    """Look at a file; None where there is nothing of interest in it."""
    if entry.content is None:
        return Found(name=entry.name, problem=entry.problem)
    content = entry.content
    if is_binary_xml(content):
        try:
            content = as_xml(content)
        except HoldfastError as error:
            return Found(name=entry.name, problem=str(error))
    platform = recognized(entry.name, content)
    if platform is not None and platform.name in _SHIPPED:
        try:
            return Found(name=entry.name, format=platform, reading=platform.scan(content))
        except PolicyError as error:
            problem = "; ".join(map(str, error.problems))
            return Found(name=entry.name, format=platform, problem=problem)
    pins = frozenset(_pins_in(content))
    return Found(name=entry.name, pins=pins) if pins else None


def _pins_in(content: bytes) -> list[Pin]:
    texts = [match[1] for match in _PIN.finditer(content)]
    texts += [match[1].replace(b"\0", b"") for match in _WIDE_PIN.finditer(content)]
    pins = []
    for text in dict.fromkeys(texts):
        try:
            pins.append(Pin.parse(f"sha256/{text.decode('ascii')}"))
        except PinFormatError:
            continue  # all zeros, or not canonical: no key has it
    return pins
