"""Chromium's list of pins as JSON (`PinList` of its component): import only.

The most specific host counts alone, and one without subdomains takes itself out of a wider one. By
`timestamp` a list says when it was last known to be right; seventy days later nothing of it is
pinned any more, without a word, as Brave found out (brave-browser#24451).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.errors import PolicyError, Problem
from holdfast.formats.dictionaries import flag_in, host_of, pins_in, texts_in
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Expiry, Kinds, Overlap, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Chromium",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    overlap=Overlap.NEAREST,
    expiry=Expiry.OF_LIST,
    addresses=False,
    one_entry_a_host=True,
    drops_dot=True,
)
_PINS, _DENIED = "static_spki_hashes_sha256", "bad_static_spki_hashes_sha256"
_OLDEST = timedelta(days=70)  # of a list that is looked at
_LATEST = 253402300799 - int(_OLDEST.total_seconds())  # seconds; it ends in the year 9999


def scan(data: bytes) -> Reading:
    """Read a list.

    Raises:
        PolicyError: It is none.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    document = _parse(data)
    expires = _end_of(document.get("timestamp"), problems, losses)
    sets = {
        str(one.get("name")): _pins_of(one, problems, losses)
        for one in _tables(document, "pinsets", problems)
    }
    rules = []
    for index, entry in enumerate(_tables(document, "host_pins", problems)):
        place = f"host_pins[{index}]"
        host = host_of(str(entry.get("hostname")), place, problems)
        name = str(entry.get("pinset_name"))
        below = flag_in(entry, "include_subdomains", place, problems, default=False)
        if name not in sets:
            fix = "name one of `pinsets`"
            problems.append(Problem(place, f"there is no pin set {name}", fix))
        elif host is not None:
            hosts = (PlatformHost(host, Kinds.ANY_DEPTH if below else Kinds.APEX),)
            rules.append(
                Rule(
                    name=host.replace(".", "-"),
                    hosts=hosts,
                    anywhere=sets[name],
                    expires=expires,
                    place=place,
                )
            )
    return Reading(tuple(rules), tuple(losses), tuple(problems))


def _end_of(timestamp: object, problems: list[Problem], losses: list[Loss]) -> datetime | None:
    """Return when a list is too old: its time is a number of seconds, or a message that has one."""
    if timestamp is None:
        losses.append(
            Loss(
                kind=LossKind.EXPIRY,
                effect=Effect.REFUSES,
                place="timestamp",
                consequence="Chromium passes over a list that is older than 70 days; this one does "
                "not say how old it is",
            )
        )
        return None
    seconds = timestamp.get("seconds", 0) if isinstance(timestamp, Mapping) else timestamp
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdecimal():
        seconds = int(seconds[:20])  # as JSON has 64-bit integers of messages
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 <= seconds <= _LATEST:
        return datetime.fromtimestamp(seconds, UTC) + _OLDEST
    problems.append(Problem("timestamp", "this is no time", "write seconds since 1970"))
    return None


def _pins_of(
    one: Mapping[str, Any], problems: list[Problem], losses: list[Loss]
) -> tuple[Pin, ...]:
    place = f"pinsets.{one.get('name')}"
    if one.get(_DENIED):
        losses.append(
            Loss(
                kind=LossKind.DENIED,
                effect=Effect.LETS_THROUGH,
                place=f"{place}.{_DENIED}",
                consequence="keys that are bad for some hosts are not imported: `denied` is for "
                "all hosts",
            )
        )
    return pins_in(texts_in(one, _PINS, place, problems), f"{place}.{_PINS}", problems, losses)


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text_of(data))
    except (ValueError, RecursionError) as error:
        problem = Problem("", f"this is no JSON: {error}", "mend it there")
        raise PolicyError([problem]) from None
    if not isinstance(value, dict):
        raise PolicyError([Problem("", "the document is no object", "is it the right one?")])
    return value


def _tables(
    document: Mapping[str, Any], key: str, problems: list[Problem]
) -> list[Mapping[str, Any]]:
    value = document.get(key, [])
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return value
    problems.append(Problem(key, "this is no list of objects", "write one"))
    return []


def _is_list(_file_name: str, data: bytes) -> bool:
    return b'"host_pins"' in data and b'"pinsets"' in data


FORMAT = Format(name="chromium", semantics=SEMANTICS, recognizes=_is_list, scan=scan, write=None)
