"""The formats of other platforms, by name: what reads, writes and recognizes each. Pure.

A platform's module is loaded when it is asked for, since each may need a library of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.formats.loss import Loss
from holdfast.formats.platform import Rule, Semantics

__all__ = ["NAMES", "Format", "Reading", "beside", "format_named", "format_of", "recognized"]

# Name -> module and the name of the format in it.
_MODULES = {
    "trustkit-android": ("trustkit_android", "FORMAT"),
    "android": ("android", "FORMAT"),
    "apple": ("apple", "FORMAT"),
    "trustkit-ios": ("trustkit_ios", "FORMAT"),
    "apache": ("apache", "FORMAT"),
    "okhttp": ("okhttp", "KOTLIN"),
    "okhttp-java": ("okhttp", "JAVA"),
    "alamofire": ("alamofire", "FORMAT"),
    "envoy": ("envoy", "FORMAT"),
    "tlsa": ("tlsa", "FORMAT"),
    "hpkp": ("hpkp", "FORMAT"),
    "chromium": ("chromium", "FORMAT"),
    "wultra": ("wultra", "FORMAT"),
    "ghostunnel": ("ghostunnel", "FORMAT"),
    "postfix": ("postfix", "FORMAT"),
    "curl-command": ("curl", "COMMAND"),
    "curl": ("curl", "CONFIG"),
}
NAMES = tuple(_MODULES)
"""The formats, in the order in which they are tried on a file."""
_TOGETHER = ("apple", "trustkit-ios")  # each has its own part of one property list


class Reading(NamedTuple):
    """What a file of a platform says.

    Attributes:
        rules: Its rules.
        losses: What of it is no rule, and follows from that.
        problems: Its mistakes. Where there are any, the rest is only to be told about, never used.
    """

    rules: tuple[Rule, ...]
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One platform's file.

    Attributes:
        name: As commands have it.
        semantics: How the platform understands its rules.
        recognizes: Tells by the name and the first bytes whether a file is one.
        scan: Reads a file with its mistakes; raises PolicyError for what is no such file at all.
        write: Writes rules into a file, beside what it holds already; None where it is import only.
    """

    name: str
    semantics: Semantics
    recognizes: Callable[[str, bytes], bool]
    scan: Callable[[bytes], Reading]
    write: Callable[[Sequence[Rule], bytes | None], bytes] | None

    def read(self, data: bytes) -> Reading:
        """Read a file that is to be used.

        Raises:
            PolicyError: It has a mistake; each is told, with its place.
        """
        reading = self.scan(data)
        if reading.problems:
            raise PolicyError(reading.problems)
        return reading


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        HoldfastError: There is none of this name, or a library for it is missing.
    """
    if name not in _MODULES:
        raise HoldfastError(f"there is no format {name!r}", hint=f"choose of {', '.join(NAMES)}")
    try:
        module, attribute = _MODULES[name]
        found = getattr(import_module(f"holdfast.formats.{module}"), attribute)
    except ModuleNotFoundError as missing:
        raise HoldfastError(
            f"the format {name} needs the package {missing.name}",
            hint="pip install 'holdfast[platforms]'",
        ) from missing
    if not isinstance(found, Format):
        raise TypeError(f"{name} is no format")
    return found


def format_of(file_name: str, data: bytes) -> Format:
    """Return the format of a file.

    Raises:
        HoldfastError: No format recognizes it, or a library is missing.
    """
    found = recognized(file_name, data)
    if found is None:
        message = f"{file_name} is in no format that is known"
        raise HoldfastError(message, hint="name it with --from")
    return found


def recognized(file_name: str, data: bytes) -> Format | None:
    """Return the first format that recognizes a file, if one does.

    Raises:
        HoldfastError: A library is missing.
    """
    formats = map(format_named, NAMES)
    return next((found for found in formats if found.recognizes(file_name, data)), None)


def beside(found: Format, file_name: str, data: bytes) -> tuple[Format, ...]:
    """Return the formats that a file is in too, each with its own part of it."""
    if found.name not in _TOGETHER:
        return ()
    others = (format_named(name) for name in _TOGETHER if name != found.name)
    return tuple(other for other in others if other.recognizes(file_name, data))
