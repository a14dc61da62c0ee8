from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import (
    ACCEPT_LOCK_OUT,
    Mode,
    OnExpiry,
    PinSet,
    Redirects,
    Require,
    Trust,
)
from holdfast.updates.rule_comparison import Change, Kind, list_difference, rule_changes, some

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEY, SPARE, NEXT, CA, OTHER_CA = (
    Pin.of_spki(name) for name in (b"key", b"spare", b"next", b"ca", b"other")
)
WEAKER, STRONGER, NEUTRAL, PINS = Kind.WEAKENING, Kind.STRENGTHENING, Kind.NEUTRAL, Kind.PINS

Fields = dict[str, Any]
PRIVATE: Fields = {"trust": Trust.PRIVATE, "anchors": (b"a", b"b")}
PINS_ONLY: Fields = {"trust": Trust.PINS_ONLY}
BOTH: Fields = {"ca": (CA, OTHER_CA)}
LAX: Fields = {"mode": Mode.REPORT_ONLY, "redirects": Redirects.PINNED_ONLY}


def pin_set(**fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set with a leaf pin and a backup."""
    sound: Fields = {
        "name": "api",
        "hosts": (HostPattern.parse("api.example.com"),),
        "mode": Mode.ENFORCE,
        "leaf": (KEY,),
        "backup": (SPARE,),
    }
    return PinSet(**sound | fields)


def expiring(time: datetime, then: OnExpiry) -> Fields:
    """Return the fields of a set that expires."""
    return {"expires": time, "on_expiry": then}


def kinds(old: Fields, new: Fields) -> dict[str, Kind]:
    """Return what changes between two sets, by key."""
    found = list(rule_changes(pin_set(**old), pin_set(**new)))
    by_key = {change.place.removeprefix("pin_set.api").lstrip("."): change.kind for change in found}
    assert len(found) == len(by_key)
    return by_key


@pytest.mark.parametrize(
    ("tight", "loose", "keys"),
    [
        ({}, LAX, ["mode"]),
        ({}, {"mode": Mode.REPORT_ONLY}, ["mode", "redirects"]),
        ({"mode": Mode.REPORT_ONLY, "redirects": Redirects.PINNED_ONLY}, {"mode": Mode.REPORT_ONLY},
         ["redirects"]),
        ({}, {"redirects": Redirects.ANY}, ["redirects"]),
        ({"require": Require.LEAF_AND_CA, **BOTH}, BOTH, ["require"]),
        ({"strict": True}, {}, ["strict"]),
        ({}, {"single_pin": ACCEPT_LOCK_OUT}, ["single_pin"]),
        (PINS_ONLY, {"check_name": False, **PINS_ONLY}, ["check_name"]),
        ({"check_name": True, **PINS_ONLY}, {"check_name": False, **PINS_ONLY}, ["check_name"]),
        (PINS_ONLY, {"check_validity": False, **PINS_ONLY}, ["check_validity"]),
        ({"trust": Trust.PRIVATE, "anchors": (b"a",)}, PRIVATE, ["anchors"]),
        (PRIVATE, {"leaf": (), "backup": (), **PRIVATE}, [""]),
        ({}, {"report_only_until": NOW}, ["report_only_until"]),
        ({}, expiring(NOW, OnExpiry.REPORT_ONLY), ["on_expiry"]),
        ({}, expiring(NOW, OnExpiry.ALLOW), ["on_expiry"]),
        (expiring(NOW, OnExpiry.ENFORCE), expiring(LATER, OnExpiry.ALLOW), ["on_expiry"]),
        (expiring(NOW, OnExpiry.REPORT_ONLY), expiring(NOW, OnExpiry.ALLOW), ["on_expiry"]),
        (expiring(LATER, OnExpiry.ALLOW), expiring(NOW, OnExpiry.ALLOW), ["on_expiry"]),
    ],
)  # fmt: skip
def test_one_rule_is_looser(tight: Fields, loose: Fields, keys: list[str]) -> None:
    """A rule that lets more pass is a weakening, and the way back a strengthening."""
    assert dict.fromkeys(keys, WEAKER) == kinds(tight, loose)
    assert dict.fromkeys(keys, STRONGER) == kinds(loose, tight)


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ({}, PRIVATE, "trust"),
        ({}, PINS_ONLY, "trust"),
        (PRIVATE, PINS_ONLY, "trust"),
        (PRIVATE, {"trust": Trust.PRIVATE, "anchors": (b"a", b"c")}, "anchors"),
        ({"report_only_until": NOW}, {"report_only_until": LATER}, "report_only_until"),
        (expiring(NOW, OnExpiry.REPORT_ONLY), expiring(LATER, OnExpiry.ALLOW), "on_expiry"),
    ],
)
def test_some_changes_weaken_in_both_directions(one: Fields, other: Fields, key: str) -> None:
    """Where each rule lets something pass that the other does not, no direction is safe."""
    assert {key: WEAKER} == kinds(one, other)
    assert {key: WEAKER} == kinds(other, one)


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ({"owner": "a"}, {"owner": "b"}, "owner"),
        ({}, {"owner": "a"}, "owner"),
        ({}, {"endpoints": (Endpoint("https", "api.example.com", 1),)}, "endpoints"),
        ({}, expiring(NOW, OnExpiry.ENFORCE), "on_expiry"),
        (expiring(NOW, OnExpiry.ENFORCE), expiring(LATER, OnExpiry.ENFORCE), "on_expiry"),
    ],
)
def test_what_changes_no_decision_is_neutral(one: Fields, other: Fields, key: str) -> None:
    """It is told all the same, since it is no change of pins."""
    assert {key: NEUTRAL} == kinds(one, other)
    assert {key: NEUTRAL} == kinds(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"redirects": Redirects.PINNED_ONLY}),
        ({"mode": Mode.REPORT_ONLY}, {"mode": Mode.REPORT_ONLY, "redirects": Redirects.ANY}),
        (PINS_ONLY, {"check_name": True, "check_validity": True, **PINS_ONLY}),
        (PRIVATE, {"trust": Trust.PRIVATE, "anchors": (b"b", b"a")}),
        ({"leaf": (KEY, NEXT)}, {"leaf": (NEXT, KEY)}),
    ],
)
def test_the_same_rule_in_other_words_is_no_change(one: Fields, other: Fields) -> None:
    """A default that is written out, and the order of a list, change nothing."""
    assert {} == kinds(one, other)


@pytest.mark.parametrize(
    ("new", "keys"),
    [
        ({"leaf": (NEXT,)}, ["leaf"]),
        ({"leaf": (SPARE,), "backup": (NEXT,)}, ["leaf", "backup"]),
        ({"ca": (CA,)}, ["ca"]),
        ({"leaf": (), "backup": (), "ca": (CA, OTHER_CA)}, ["leaf", "backup", "ca"]),
    ],
)
def test_pins_are_a_kind_of_their_own(new: Fields, keys: list[str]) -> None:
    """Other keys in the lists of a set are told for each list, in both directions."""
    assert dict.fromkeys(keys, PINS) == kinds({}, new)
    assert dict.fromkeys(keys, PINS) == kinds(new, {})


def test_words_say_what_and_where() -> None:
    """A change can be read by people who have to sign it."""
    old = pin_set()
    new = pin_set(name="web", owner="me", leaf=(NEXT,), **LAX, **expiring(NOW, OnExpiry.ALLOW))

    assert [
        Change("pin_set.web.mode", "mode goes from enforce to report-only for a.b", WEAKER),
        Change(
            "pin_set.web.on_expiry",
            "on_expiry goes from no expiry to allow from 2026-11-01T00:00:00Z for a.b",
            WEAKER,
        ),
        Change("pin_set.web.leaf", f"leaf adds {NEXT} and removes {KEY} for a.b", PINS),
    ] == list(rule_changes(old, new, "a.b"))


def test_long_lists_are_cut() -> None:
    """A change stays on one readable line, however long the lists are."""
    assert "1, 2, 3 and 997 more" == some(list(map(str, range(1, 1001))))
    assert "leaf adds 1, 2, 3 and 1 more" == list_difference("leaf", [], [1, 2, 3, 4])
    assert "" == list_difference("leaf", [1, 2], [2, 1])
