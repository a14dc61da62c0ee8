"""Chromium's list of pins as JSON (`PinList` of its component): import only.

The most specific host counts alone, and one without subdomains takes itself out of a wider one. A
list older than 70 days is not looked at any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from holdfast.errors import PolicyError, Problem
from holdfast.formats.dictionaries import flag_in, host_of, pins_in, texts_in
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Kinds, Overlap, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Chromium",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    overlap=Overlap.NEAREST,
    addresses=False,
    one_entry_a_host=True,
    drops_dot=True,
)
_PINS, _DENIED = "static_spki_hashes_sha256", "bad_static_spki_hashes_sha256"


def scan(data: bytes) -> Reading:
    """Read a list.

    Raises:
        PolicyError: It is none.
    """
    problems: list[Problem] = []
    losses = [
        Loss(
            kind=LossKind.EXPIRY,
            effect=Effect.REFUSES,
            place="timestamp",
            consequence="Chromium passes over a list that is older than 70 days",
        )
    ]
    document = _parse(data)
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
                Rule(name=host.replace(".", "-"), hosts=hosts, anywhere=sets[name], place=place)
            )
    return Reading(tuple(rules), tuple(losses), tuple(problems))


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
