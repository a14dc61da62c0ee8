"""Wultra's list of certificates, as its server signs and serves it.

An entry is the SHA-256 of a whole certificate and the name in its subject, and ends at a time of
its own. The list is written unsigned: `ssl-pinning-tool` or the mobile utility server signs it with
the one key that the application knows.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from holdfast.errors import PinFormatError, PolicyError, Problem
from holdfast.formats.dictionaries import distinct, host_of
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Kinds, Places, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Wultra",
    entries=(Kinds.APEX,),
    places=Places.LEAF,
    certificate_pins=True,
    key_pins=False,
    one_entry_a_host=True,
)
_LIST = "fingerprints"
_MAXIMUM = 253402300799  # seconds; the end of the year 9999


def scan(data: bytes) -> Reading:
    """Read a list.

    Raises:
        PolicyError: It is none.
    """
    problems: list[Problem] = []
    losses = [
        Loss(
            kind=LossKind.SETTING,
            effect=Effect.NEITHER,
            place=_LIST,
            consequence="signatures are not checked: who wrote the list is not known",
        )
    ]
    pins: dict[str, list[tuple[str, Pin]]] = {}
    for index, entry in enumerate(_entries(data)):
        place = f"{_LIST}[{index}]"
        host = host_of(str(entry.get("name")), f"{place}.name", problems)
        pin = _pin(entry.get("fingerprint"), f"{place}.fingerprint", problems)
        if host is not None and pin is not None:
            pins.setdefault(host, []).append((place, pin))
            losses.append(
                Loss(
                    kind=LossKind.EXPIRY,
                    effect=Effect.LETS_THROUGH,
                    place=f"{place}.expires",
                    consequence="Wultra passes over the entry after its end; the policy keeps it",
                    subject=host.replace(".", "-"),
                    stated=_end(entry.get("expires"), f"{place}.expires", problems),
                )
            )
    rules = tuple(
        Rule(
            name=host.replace(".", "-"),
            hosts=(PlatformHost(host),),
            leaf=distinct(found, losses),
            place=found[0][0],
        )
        for host, found in pins.items()
    )
    return Reading(rules, tuple(losses), tuple(problems))


def _entries(data: bytes) -> list[Mapping[str, Any]]:
    try:
        value = json.loads(text_of(data))
    except (ValueError, RecursionError) as error:
        raise PolicyError([Problem("", f"this is no JSON: {error}", "mend it there")]) from None
    entries = value.get(_LIST) if isinstance(value, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        fix = f'write {{"{_LIST}": [{{"name": ..., "fingerprint": ..., "expires": ...}}]}}'
        raise PolicyError([Problem(_LIST, "this is no list of entries", fix)])
    return entries


def _pin(text: object, place: str, problems: list[Problem]) -> Pin | None:
    try:
        return Pin.parse(f"cert-sha256/{text}")
    except PinFormatError as error:
        problems.append(Problem.of(place, error, "take the SHA-256 of the certificate again"))
        return None


def _end(seconds: object, place: str, problems: list[Problem]) -> str | None:
    """Return the end of an entry as a time in UTC; nothing where it has none."""
    if seconds is None:
        return None
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 <= seconds <= _MAXIMUM:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    problems.append(Problem(place, "this is no time", "write seconds since 1970"))
    return None


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write a list, as `Format.write` says; ends of entries that it has stay.

    Raises:
        PolicyError: The file is no list.
    """
    kept = [] if present is None else _entries(present)
    ends = {(one.get("name"), one.get("fingerprint")): one.get("expires") for one in kept}
    entries = []
    for rule in rules:
        for host in rule.hosts:
            for pin in rule.pins:
                text = b64encode(pin.digest).decode("ascii")
                expires = ends.get((host.host, text)) or _MAXIMUM
                entries.append({"name": host.host, "fingerprint": text, "expires": expires})
    document = json.dumps({_LIST: entries}, indent=2) + "\n"
    return document.encode()


def _is_list(_file_name: str, data: bytes) -> bool:
    return b'"fingerprints"' in data and b'"fingerprint"' in data


FORMAT = Format(name="wultra", semantics=SEMANTICS, recognizes=_is_list, scan=scan, write=write)
