from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.formats.lint_live import SHORT_LIFE, Pinned, Seen, live_findings
from holdfast.formats.lint_public_cas import PublicRoot
from holdfast.formats.platform import Rule
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LEAF, NEXT, CA = (Pin.of_spki(name) for name in (b"leaf", b"next", b"ca"))
WHOLE = Pin.of_certificate(b"leaf")
SECOND = timedelta(seconds=1)


def seen(
    *pins: Pin,
    organization: str | None = None,
    is_leaf: bool = True,
    life: timedelta | None = SHORT_LIFE,
    name: str = "CN=x",
) -> Seen:
    """Return a certificate of a server."""
    end = None if life is None else NOW + life
    return Seen(frozenset(pins), name, organization, is_leaf, NOW, end, "https://a.test:443")


def rule(*pins: Pin) -> Pinned:
    """Return what a platform's rule has."""
    return Pinned.by_rule(Rule(name="a", hosts=(), anywhere=pins, place="line 3"))


def found(pinned: Pinned, *certificates: Seen) -> list[tuple[str, str]]:
    """Return the rules and places of what is found."""
    roots = {Pin.of_spki(b"root"): PublicRoot("CN=Root", "Amazon")}
    return [(one.rule, one.place) for one in live_findings(pinned, certificates, roots)]


@pytest.mark.parametrize(
    ("pins", "rules"),
    [((LEAF, NEXT), []), ((LEAF,), []), ((LEAF, CA), [("HF118", "line 3")])],
)
def test_a_rule_needs_a_pin_that_nobody_has_seen(
    pins: tuple[Pin, ...], rules: list[tuple[str, str]]
) -> None:
    """Of a single pin another rule tells."""
    assert rules == found(rule(*pins), seen(LEAF, WHOLE), seen(CA, is_leaf=False))


def test_nothing_seen_is_nothing_found() -> None:
    """A host that was not reached says nothing."""
    assert [] == found(rule(LEAF, CA))


def test_each_backup_of_a_set_is_looked_for(make_set: Callable[..., PinSet]) -> None:
    """In the leaf's place, or where it never matches, such as on a CA."""
    pinned = Pinned.by_set(make_set(leaf=(LEAF,), backup=(NEXT, CA)))

    assert [("HF118", "pin_set.bank.backup[1]")] == found(
        pinned, seen(LEAF), seen(CA, is_leaf=False)
    )


@pytest.mark.parametrize(
    ("certificate", "rules"),
    [
        (seen(CA, organization="Amazon", is_leaf=False), ["HF119"]),
        (seen(CA, organization="Amazon", is_leaf=True), []),
        (seen(CA, organization="Example", is_leaf=False), []),
        (seen(CA, organization=None, is_leaf=False), []),
        (seen(NEXT, organization="Amazon", is_leaf=False), []),
        (seen(CA, organization="Let's Encrypt", is_leaf=False), ["HF119"]),
        (seen(CA, organization="Let's Encrypt", is_leaf=False, name="O=x,CN=Root YE"), []),
        (seen(CA, Pin.of_spki(b"root"), organization="Amazon", is_leaf=False), []),
    ],
)
def test_intermediates_of_cas_that_change_them(certificate: Seen, rules: list[str]) -> None:
    """Neither roots, nor leaves, nor what has no pin."""
    assert rules == [one for one, _ in found(rule(CA), certificate, certificate)]


@pytest.mark.parametrize(
    ("certificate", "rules"),
    [
        (seen(LEAF, WHOLE), ["HF127"]),
        (seen(LEAF, WHOLE, life=SHORT_LIFE + SECOND), []),
        (seen(LEAF, WHOLE, life=None), []),
        (seen(LEAF, WHOLE, is_leaf=False), []),
    ],
)
def test_short_lived_certificates(certificate: Seen, rules: list[str]) -> None:
    """Where the pin is over the certificate; a key may live on."""
    assert rules == [one for one, _ in found(rule(WHOLE), certificate)]
    assert [] == found(rule(LEAF), certificate)
