"""In what two rules for one host differ, and which of them lets more pass. Pure.

1. A difference weakens when some path, at some time, passes under the new rule that did not under
   the old one, or is reported no longer although no pin is on it.
2. No trust is weaker than another: public, private and pins-only each let paths in that the others
   refuse. So any change of trust weakens, in both directions; so does another time of break-glass,
   since it is in force for the days before its end. Anchors weaken when one is added.
3. Pins are a kind of their own: which keys are right is what the role `pins` is there to say. Only
   with private trust can the last pin go, and that weakens.
4. What changes no decision (an owner, what a probe visits) is neutral, and still no change of pins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from holdfast.pins.pin import quoted
from holdfast.pins.pin_set import (
    Mode,
    OnExpiry,
    PinSet,
    Redirects,
    Require,
    place_of,
)
from holdfast.pins.policy_writer import time_text
from holdfast.pins.redirects import follows_any

__all__ = ["Change", "Kind", "in_words", "kind_of", "list_difference", "rule_changes", "some"]

_SHOWN = 3  # of a list, in words
_EXPIRY_LEVELS = {OnExpiry.ENFORCE: 0, OnExpiry.REPORT_ONLY: 1, OnExpiry.ALLOW: 2}


class Kind(StrEnum):
    """What a change does; what matters most stands first."""

    WEAKENING = "weakening"
    STRENGTHENING = "strengthening"
    NEUTRAL = "neutral"
    PINS = "pins"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two policies.

    Attributes:
        place: Where it stands, as in a policy's problems.
        words: What changes, for people, on one line.
        kind: What it does.
    """

    place: str
    words: str
    kind: Kind


def kind_of(*, is_looser: bool, is_tighter: bool) -> Kind:
    """Say what a difference does that may let more pass, less, neither, or some of both."""
    if is_looser:
        return Kind.WEAKENING
    return Kind.STRENGTHENING if is_tighter else Kind.NEUTRAL


def some(entries: list[str]) -> str:
    """Return the first entries of a list, and how many more there are."""
    more = len(entries) - _SHOWN
    return ", ".join(entries[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def in_words(found: Iterable[Change]) -> str:
    """Return the first of some changes on one line, with their places, and how many more."""
    words = [f"{change.place}: {change.words}" for change in found]
    more = len(words) - _SHOWN
    shown = "; ".join(words[:_SHOWN])
    return f"{shown}; and {more} more" if more > 0 else shown


def list_difference(key: str, before: Iterable[object], after: Iterable[object]) -> str:
    """Say what is added to a list and what is removed; nothing where they hold the same."""
    old, new = dict.fromkeys(map(str, before)), dict.fromkeys(map(str, after))
    parts = []
    if added := [entry for entry in new if entry not in old]:
        parts.append(f"adds {some(added)}")
    if removed := [entry for entry in old if entry not in new]:
        parts.append(f"removes {some(removed)}")
    return f"{key} {' and '.join(parts)}" if parts else ""


def rule_changes(old: PinSet, new: PinSet, hosts: str | None = None) -> Iterator[Change]:
    """Compare the rules that two pin sets are.

    Args:
        old: What covered a host.
        new: What covers it now.
        hosts: Which hosts are meant, where these are not the same set in two versions. Then what
            belongs to the set as a whole (owner, endpoints) is not compared.
    """
    if old == new:
        return
    place = place_of(new.name)
    where = "" if hosts is None else f" for {hosts}"
    for aspect in _ASPECTS if hosts is not None else (*_ASPECTS, *_OF_THE_SET):
        before, after = aspect.shown(old), aspect.shown(new)
        if before != after:
            kind = kind_of(
                is_looser=aspect.is_looser(old, new), is_tighter=aspect.is_looser(new, old)
            )
            words = f"{aspect.key} goes from {before} to {after}{where}"
            yield Change(f"{place}.{aspect.key}", words, kind)
    if old.trust is new.trust:
        yield from _anchor_changes(old, new, place, where)
    yield from _pin_changes(old, new, place, where)


class _Aspect(NamedTuple):
    """One thing that two sets may differ in.

    Attributes:
        key: Where it stands in the set.
        shown: Its value in words; equal words mean no difference.
        is_looser: Whether the second set lets something pass that the first does not.
    """

    key: str
    shown: Callable[[PinSet], str]
    is_looser: Callable[[PinSet, PinSet], bool]


def _flag(key: str, is_loose: Callable[[PinSet], bool], tight: str, loose: str) -> _Aspect:
    """Make an aspect with two values."""
    return _Aspect(
        key,
        lambda pin_set: loose if is_loose(pin_set) else tight,
        lambda old, new: is_loose(new) and not is_loose(old),
    )


def _is_report_only(pin_set: PinSet) -> bool:
    return pin_set.mode is Mode.REPORT_ONLY


def _has_other_trust(old: PinSet, new: PinSet) -> bool:
    return old.trust is not new.trust


def _has_break_glass(old: PinSet, new: PinSet) -> bool:  # noqa: ARG001  any other time is looser
    return new.report_only_until is not None


def _is_looser_on_expiry(old: PinSet, new: PinSet) -> bool:
    """Tell whether at some time the new set does less about a mismatch because it has expired."""
    old_level, old_time = _expiry(old)
    new_level, new_time = _expiry(new)
    if new_time is None:
        return False
    return old_time is None or new_level > old_level or new_time < old_time


def _expiry(pin_set: PinSet) -> tuple[int, datetime | None]:
    """Return how loose the set gets, and when; no time where it never does."""
    level = 0 if pin_set.on_expiry is None else _EXPIRY_LEVELS[pin_set.on_expiry]
    return level, pin_set.expires if level else None


def _expiry_in_words(pin_set: PinSet) -> str:
    if pin_set.expires is None or pin_set.on_expiry is None:
        return "no expiry"
    return f"{pin_set.on_expiry.value} from {time_text(pin_set.expires)}"


def _until_in_words(pin_set: PinSet) -> str:
    until = pin_set.report_only_until
    return "no time" if until is None else time_text(until)


def _never(old: PinSet, new: PinSet) -> bool:  # noqa: ARG001  the sets do not matter
    return False


_ASPECTS = (
    _flag("mode", _is_report_only, Mode.ENFORCE.value, Mode.REPORT_ONLY.value),
    _Aspect("trust", lambda pin_set: pin_set.trust.value, _has_other_trust),
    _flag(
        "require",
        lambda pin_set: pin_set.require is Require.LEAF_OR_CA,
        Require.LEAF_AND_CA.value,
        Require.LEAF_OR_CA.value,
    ),
    _flag("strict", lambda pin_set: not pin_set.strict, "true", "false"),
    _flag(
        "single_pin", lambda pin_set: pin_set.single_pin is not None, "absent", "accepted lock-out"
    ),
    _flag("check_name", lambda pin_set: pin_set.check_name is False, "true", "false"),
    _flag("check_validity", lambda pin_set: pin_set.check_validity is False, "true", "false"),
    _flag("redirects", follows_any, Redirects.PINNED_ONLY.value, Redirects.ANY.value),
    _Aspect("on_expiry", _expiry_in_words, _is_looser_on_expiry),
    _Aspect("report_only_until", _until_in_words, _has_break_glass),
)
_OF_THE_SET = (
    _Aspect("owner", lambda pin_set: quoted(pin_set.owner or "nobody"), _never),
    _Aspect("endpoints", lambda pin_set: some(list(map(str, pin_set.endpoints))) or "none", _never),
)


def _anchor_changes(old: PinSet, new: PinSet, place: str, where: str) -> Iterator[Change]:
    before, after = set(old.anchors), set(new.anchors)
    if before != after:
        words = f"{len(after - before)} anchors added, {len(before - after)} removed{where}"
        kind = kind_of(is_looser=bool(after - before), is_tighter=True)
        yield Change(f"{place}.anchors", words, kind)


def _pin_changes(old: PinSet, new: PinSet, place: str, where: str) -> Iterator[Change]:
    if bool(old.pins) is not bool(new.pins):
        words = "a pin is asked for" if new.pins else "no pin is asked for any more"
        kind = kind_of(is_looser=not new.pins, is_tighter=True)
        yield Change(place, f"{words}, beside an anchor{where}", kind)
        return
    for key in ("leaf", "backup", "ca"):
        words = list_difference(key, getattr(old, key), getattr(new, key))
        if words:
            yield Change(f"{place}.{key}", words + where, Kind.PINS)
