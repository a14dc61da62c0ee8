from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from holdfast.errors import Mistake, Problem
from holdfast.formats.lint_platform import Circumstances, counted, platform_findings
from holdfast.formats.lint_public_cas import PublicRoot
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import (
    Expiry,
    Kinds,
    Overlap,
    Places,
    PlatformHost,
    Rule,
    Semantics,
)
from holdfast.formats.registry import Reading
from holdfast.pins.pin import Pin

ONE, TWO, THREE, ROOT = (Pin.of_spki(name) for name in (b"1", b"2", b"3", b"root"))
WHOLE = Pin.of_certificate(b"1")
HOST = (PlatformHost("a.test"),)
KNOWN = Circumstances(
    now=datetime(2026, 11, 23, 12, tzinfo=UTC),
    public_suffix={"co.uk", "10.1.2.3"}.__contains__,
    public_roots={ROOT: PublicRoot("CN=Root", "Root CA")},
)
ANYWHERE = Semantics(title="P", entries=(Kinds.APEX,), expiry=Expiry.UTC_DAY)
LOCAL = replace(ANYWHERE, expiry=Expiry.LOCAL_DAY)
APPLE = replace(ANYWHERE, places=Places.BOTH_ROLES)
DANE = replace(ANYWHERE, places=Places.EITHER_ROLE)
LEAF = replace(ANYWHERE, places=Places.LEAF)
UNION = replace(ANYWHERE, overlap=Overlap.UNION)
SHIPPED = replace(ANYWHERE, shipped=True)


def found(*rules: Rule, semantics: Semantics = ANYWHERE, known: Circumstances = KNOWN) -> list[str]:
    """Return the ids of what is found."""
    return [one.rule for one in platform_findings(Reading(rules), semantics, known)]


def rule(*anywhere: Pin, **changes: Any) -> Rule:  # noqa: ANN401 (the fields of Rule)
    """Return a rule."""
    return Rule(**{"name": "a", "hosts": HOST, "anywhere": anywhere, "place": "line 1"} | changes)


@pytest.mark.parametrize(
    ("one", "semantics", "ids"),
    [
        (rule(ONE, TWO), ANYWHERE, []),
        (rule(ONE), ANYWHERE, ["HF116"]),
        (rule(ONE, enforced=False), ANYWHERE, ["HF103", "HF161"]),
        (rule(leaf=(ONE, TWO), ca=(THREE, ROOT)), APPLE, ["HF108"]),
        (rule(leaf=(ONE,), ca=(TWO, THREE)), APPLE, ["HF108", "HF117"]),
        (rule(leaf=(ONE,), ca=(ROOT,)), APPLE, ["HF108", "HF117", "HF117", "HF106"]),
        (rule(leaf=(ONE, TWO)), APPLE, []),
        (rule(ca=(ONE,)), APPLE, ["HF116", "HF106"]),
        (rule(ROOT), ANYWHERE, ["HF116", "HF106"]),
        (rule(ROOT), LEAF, ["HF116"]),
        (rule(leaf=(ONE,), ca=(ROOT,)), DANE, []),
        (rule(ca=(ROOT,)), DANE, ["HF116", "HF106"]),
        (rule(leaf=(ONE, WHOLE)), LEAF, ["HF105"]),
        (rule(ONE, TWO, hosts=(PlatformHost("co.uk", Kinds.ANY_DEPTH),)), ANYWHERE, ["HF140"]),
        (rule(ONE, TWO, hosts=(PlatformHost("co.uk"),)), ANYWHERE, []),
        (rule(ONE, TWO, hosts=(PlatformHost("10.1.2.3", Kinds.ANY_DEPTH),)), ANYWHERE, []),
        (rule(ONE, TWO, exempt=True), ANYWHERE, ["HF160"]),
        (rule(ONE, TWO), SHIPPED, ["HF163"]),
        (rule(ONE, TWO, enforced=False), SHIPPED, ["HF161"]),
    ],
)
def test_what_one_rule_lacks(one: Rule, semantics: Semantics, ids: list[str]) -> None:
    """By what its platform makes of it."""
    assert ids == found(one, semantics=semantics)


def test_a_file_without_rules() -> None:
    """It pins nothing, which is told once; not of one that could not be read to its end."""
    assert ["HF160"] == found()
    broken = Reading((), problems=(Problem("p", "m", "f", Mistake.LENGTH),))
    assert ["HF113"] == [one.rule for one in platform_findings(broken, ANYWHERE, KNOWN)]


def test_one_pin_is_told_once() -> None:
    """Where the platform refuses it, that is enough."""
    problem = Problem("p", "m", "f", Mistake.ONE_PIN)
    reading = Reading((rule(ONE),), problems=(problem,))

    assert ["HF116"] == [one.rule for one in platform_findings(reading, ANYWHERE, KNOWN)]


@pytest.mark.parametrize(
    ("day", "changes", "semantics", "ids"),
    [
        (date(2026, 11, 23), {}, ANYWHERE, ["HF120"]),
        (date(2026, 11, 24), {}, ANYWHERE, ["HF122", "HF123"]),
        (date(2026, 11, 25), {}, LOCAL, ["HF122", "HF123"]),
        (date(2026, 11, 23), {"enforced": False}, ANYWHERE, ["HF121", "HF161"]),
        (date(2027, 11, 24), {}, ANYWHERE, ["HF123"]),
        (date(2027, 11, 24), {"enforced": False}, ANYWHERE, ["HF161"]),
        (date(2020, 1, 1), {}, replace(ANYWHERE, expiry=Expiry.NONE), []),
        (date(2027, 11, 24), {}, SHIPPED, ["HF123"]),
    ],
)
def test_expiry_switches_off(
    day: date, changes: dict[str, Any], semantics: Semantics, ids: list[str]
) -> None:
    """On most platforms silently, from the first midnight on earth where it is local."""
    assert ids == found(rule(ONE, TWO, expires=day, **changes), semantics=semantics)


def test_a_local_day_begins_fourteen_hours_before_it_does_in_utc() -> None:
    """So that a rule is over as soon as one client is without pins."""
    known = replace(KNOWN, now=datetime(2026, 11, 23, 10, tzinfo=UTC))
    tomorrow = rule(ONE, TWO, expires=date(2026, 11, 24))

    assert ["HF120"] == found(tomorrow, semantics=LOCAL, known=known)
    assert ["HF122", "HF123"] == found(tomorrow, semantics=ANYWHERE, known=known)


def test_clients_that_outlive_their_pins() -> None:
    """They are an error, where somebody says how long they live."""
    known = replace(KNOWN, clients_live_until=datetime(2030, 1, 1, tzinfo=UTC))

    assert ["HF126", "HF123"] == found(rule(ONE, TWO, expires=date(2029, 12, 31)), known=known)
    assert ["HF123"] == found(rule(ONE, TWO, expires=date(2030, 1, 1)), known=known)


@pytest.mark.parametrize(
    ("kind", "stated", "ids"),
    [
        (LossKind.DUPLICATE, None, ["HF115"]),
        (LossKind.DROPPED_HOST, "b.test", ["HF149"]),
        (LossKind.UNREACHED_HOST, "*.test", ["HF150"]),
        (LossKind.EXPIRY, "2020-01-01T00:00:00+00:00", ["HF121"]),
        (LossKind.EXPIRY, None, []),
        (LossKind.SETTING, None, []),
    ],
)
def test_what_is_no_rule(kind: LossKind, stated: str | None, ids: list[str]) -> None:
    """It stands in the losses of reading, with its place."""
    loss = Loss(kind=kind, effect=Effect.NEITHER, place="p", consequence="so it is", stated=stated)
    findings = list(platform_findings(Reading((rule(ONE, TWO),), (loss,)), ANYWHERE, KNOWN))

    assert ids == [one.rule for one in findings]
    assert {"p"} >= {one.place for one in findings}


@pytest.mark.parametrize(
    ("other", "ids"),
    [
        (PlatformHost("a.test"), []),
        (PlatformHost("a.test", Kinds.ANY_DEPTH), ["HF116"]),
        (PlatformHost("test", Kinds.ONE_BELOW), ["HF116"]),
        (PlatformHost("x.a.test"), ["HF116", "HF116"]),
        (PlatformHost("a.test", Kinds.ONE_BELOW), ["HF116", "HF116"]),
    ],
)
def test_rules_that_add_up_are_seen_as_one(other: PlatformHost, ids: list[str]) -> None:
    """The wider one's pins count for the narrower one, and not the other way round."""
    assert ids == found(rule(ONE), rule(TWO, hosts=(other,)), semantics=UNION)


def test_counting_many_rules_is_quick() -> None:
    """Ten thousand calls for one host, and as many for hosts below, are a second's work."""
    pins = [Pin.of_spki(str(number).encode()) for number in range(10_000)]
    same = [rule(pin) for pin in pins]
    below = [rule(ONE, hosts=(PlatformHost(f"x{number}.a.test"),)) for number in range(10_000)]

    assert [10_000] == [len(one.pins) for one in counted(same, UNION)]
    assert 10_000 == len(counted(below, UNION))
