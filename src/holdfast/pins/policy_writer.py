"""From a `Policy` to the plain data of which `policy_from_document` makes an equal one.

What has its default is left out. Times become RFC 3339 text in UTC, so that the data fit into JSON
as they are. `host_pins` are no part of the document: they are signed beside it, for each host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from holdfast.pins.pin_set import PinSet
from holdfast.pins.policy import FORMAT, Policy

__all__ = ["policy_to_document", "time_text"]

_LISTS = ("hosts", "leaf", "backup", "ca", "endpoints", "clients")
_PLAIN = ("owner", "single_pin", "check_name", "check_validity")
_DEFAULTS = {"require": "leaf-or-ca", "trust": "public", "on_stale": "enforce"}


def policy_to_document(
    policy: Policy, *, write_anchor: Callable[[bytes], str]
) -> dict[str, dict[str, object]]:
    """Write a policy as plain data: tables, lists, text, numbers, true and false.

    Args:
        policy: What is written. Text in it that no reader takes (an owner on two lines) is written
            as it is; reading it tells.
        write_anchor: Turns an anchor (DER) into an entry of `anchors`.
    """
    holdfast: dict[str, object] = {"format": FORMAT, "unlisted": policy.unlisted.value}
    if policy.denied:
        holdfast["denied"] = _texts(policy.denied)
    _add_choice(holdfast, "on_stale", policy.on_stale)
    return {
        "holdfast": holdfast,
        "pin_set": {pin_set.name: _table(pin_set, write_anchor) for pin_set in policy.pin_sets},
    }


def time_text(time: datetime) -> str:
    """Return a time with an offset as RFC 3339 in UTC, with as many digits as it needs."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _table(pin_set: PinSet, write_anchor: Callable[[bytes], str]) -> dict[str, object]:
    table: dict[str, object] = {"mode": pin_set.mode.value}
    for key in _LISTS:
        entries = getattr(pin_set, key)
        if entries:
            table[key] = _texts(entries)
    for key in ("require", "trust", "on_expiry", "redirects"):
        _add_choice(table, key, getattr(pin_set, key))
    for key in ("expires", "report_only_until"):
        time = getattr(pin_set, key)
        if time is not None:
            table[key] = time_text(time)
    for key in _PLAIN:
        value = getattr(pin_set, key)
        if value is not None:
            table[key] = value
    if pin_set.anchors:
        table["anchors"] = [write_anchor(anchor) for anchor in pin_set.anchors]
    if pin_set.strict:
        table["strict"] = True
    return table


def _add_choice(table: dict[str, object], key: str, member: StrEnum | None) -> None:
    if member is not None and member.value != _DEFAULTS.get(key):
        table[key] = member.value


def _texts(entries: Iterable[object]) -> list[str]:
    return [str(entry) for entry in entries]
