"""The pins in the files of a package: platforms' configurations, or texts that are pins. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, PinFormatError, PolicyError
from holdfast.formats.artifacts.android_binary import as_xml, is_binary_xml
from holdfast.formats.artifacts.android_manifest import MANIFEST, TABLE, configurations_in_force
from holdfast.formats.registry import beside, recognized
from holdfast.pins.pin import Pin

if TYPE_CHECKING:
    from holdfast.formats.artifacts.archive import Entry
    from holdfast.formats.registry import Format, Reading

__all__ = ["Found", "found_in", "look_through"]

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
        in_force: What the manifest of its package names in its place; None where it is in force, or
            no manifest decides that.
    """

    name: str
    format: Format | None = None
    reading: Reading | None = None
    pins: frozenset[Pin] = frozenset()
    problem: str = ""
    in_force: tuple[str, ...] | None = None

    @property
    def all_pins(self) -> frozenset[Pin]:
        """The pins that stand in it, in whatever form."""
        rules = () if self.reading is None else self.reading.rules
        return self.pins.union(pin for rule in rules for pin in rule.pins)


def look_through(entries: Iterable[Entry]) -> list[Found]:
    """Look at the files of a package, and at which of them its manifest names."""
    found: list[Found] = []
    manifests: dict[str, bytes] = {}  # by what stands before the names in the same package
    tables: dict[str, bytes] = {}
    for entry in entries:
        for name, contents in ((MANIFEST, manifests), (TABLE, tables)):
            package = entry.name.removesuffix(name)
            is_it = entry.name.endswith(name) and package[-1:] in ("", "!", "/")
            if is_it and entry.content is not None:
                contents[package] = entry.content
        found += found_in(entry)
    for package, manifest in manifests.items():
        found = list(_weighed(found, package, manifest, tables.get(package)))
    return found


def _weighed(
    found: Iterable[Found], package: str, manifest: bytes, table: bytes | None
) -> Iterator[Found]:
    """Tell of configurations whether a package's manifest names them."""
    try:
        in_force = configurations_in_force(manifest, table)
    except HoldfastError as error:
        in_force = None
        yield Found(name=package + MANIFEST, problem=str(error))
    named = {package + file for file in in_force or ()}
    for one in found:
        named.discard(one.name)
        # TrustKit's is named in code, if not in the manifest.
        is_meant = one.format is not None and one.format.name == "android"
        is_within = one.name.startswith(package) and "!" not in one.name[len(package) :]
        is_in_force = in_force is None or one.name.removeprefix(package) in in_force
        yield (
            one if is_in_force or not (is_meant and is_within) else replace(one, in_force=in_force)
        )
    for name in sorted(named):
        problem = "the manifest names it, and it is not there or no configuration"
        yield Found(name=name, problem=problem)


def found_in(entry: Entry) -> tuple[Found, ...]:
    """Look at a file; nothing where there is nothing of interest in it."""
    if entry.content is None:
        return (Found(name=entry.name, problem=entry.problem),)
    content = entry.content
    if is_binary_xml(content):
        try:
            content = as_xml(content)
        except HoldfastError as error:
            return (Found(name=entry.name, problem=str(error)),)
    platform = recognized(entry.name, content)
    if platform is not None and platform.name in _SHIPPED:
        formats = (platform, *beside(platform, entry.name, content))
        return tuple(_read(entry.name, one, content) for one in formats)
    pins = frozenset(_pins_in(content))
    return (Found(name=entry.name, pins=pins),) if pins else ()


def _read(name: str, platform: Format, content: bytes) -> Found:
    try:
        return Found(name=name, format=platform, reading=platform.scan(content))
    except PolicyError as error:
        problem = "; ".join(map(str, error.problems))
        return Found(name=name, format=platform, problem=problem)


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
