"""Property lists, in XML or binary, read safely and written in the form that they had.

`plistlib` refuses entity declarations, so that none are expanded. It keeps the order of keys, not
comments: a file whose content does not change is not written anew.
"""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

from holdfast.errors import PolicyError, Problem

__all__ = ["parse", "put_own", "serialize"]

_LIMIT = 16 * 1024 * 1024  # bytes
_BINARY = b"bplist00"


def parse(data: bytes) -> dict[str, Any]:
    """Return the dictionary that a property list is.

    Raises:
        PolicyError: It is no property list, too long, or no dictionary.
    """
    if len(data) > _LIMIT:
        raise _problem(f"the file has more than {_LIMIT} bytes", "is it the right one?")
    try:
        value = plistlib.loads(data)
    except (
        plistlib.InvalidFileException,
        ExpatError,
        ValueError,
        OverflowError,
        RecursionError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # a damaged list makes plistlib raise what it likes
        raise _problem(f"this is no property list: {error}", "mend it there") from None
    if not isinstance(value, dict):
        raise _problem("the property list is no dictionary", "is it the right one?")
    return value


def serialize(value: dict[str, Any], present: bytes | None, said: Mapping[str, Any]) -> bytes:
    """Return the text of a dictionary; the present one where it says the same.

    Args:
        value: What it is to say.
        present: What it was made from; None for a new one.
        said: What that says.
    """
    if present is not None and said == value:
        return present
    is_binary = present is not None and present.startswith(_BINARY)
    form = plistlib.FMT_BINARY if is_binary else plistlib.FMT_XML
    return plistlib.dumps(value, fmt=form, sort_keys=False)


def put_own(domains: dict[str, Any], former: object, entries: Mapping[str, Any]) -> None:
    """Put what comes from a policy among domains, and take back what no longer does.

    Args:
        domains: Those of the file, by name.
        former: What the format's mark said of the names that came from a policy.
        entries: What comes from it now, by name.
    """
    for name in former if isinstance(former, list) else []:
        if name not in entries:
            domains.pop(name, None)
    domains.update(entries)


def _problem(message: str, fix: str) -> PolicyError:
    return PolicyError([Problem("", message, fix)])
