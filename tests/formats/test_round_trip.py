"""What every format has to hold; what is its own stands in its own test."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.from_policy import rules_of
from holdfast.formats.platform import PlatformHost, Rule
from holdfast.formats.registry import NAMES, Format, format_named
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet
from holdfast.pins.policy import Policy, Unlisted

ONE, TWO, THREE, FOUR = (Pin.of_spki(name) for name in (b"1", b"2", b"3", b"4"))
PAY = PinSet(
    name="pay",
    hosts=(HostPattern.parse("api.example.com"), HostPattern.parse("**.pay.example.com")),
    mode=Mode.ENFORCE,
    leaf=(ONE,),
    backup=(TWO,),
    expires=datetime(2027, 6, 30, tzinfo=UTC),
    on_expiry=OnExpiry.ALLOW,
)
POLICY = Policy(
    unlisted=Unlisted.ALLOW,
    pin_sets=(
        PAY,
        PinSet(
            name="shop",
            hosts=(HostPattern.parse("*.shop.example.com"),),
            mode=Mode.ENFORCE,
            ca=(THREE, FOUR),
        ),
        PinSet(
            name="tried",
            hosts=(HostPattern.parse("x.pay.example.com"),),
            mode=Mode.REPORT_ONLY,
            leaf=(ONE,),
        ),
    ),
)
# Wultra pins whole certificates, and the policy has keys: tests/formats/test_wultra.py.
WRITTEN = [name for name in NAMES if format_named(name).write is not None and name != "wultra"]


def policy_for(target: Format) -> Policy:
    """Return the policy, or one set of it where the format is for one."""
    return POLICY if target.semantics.hosts else replace(POLICY, pin_sets=(PAY,))


def said(rules: tuple[Rule, ...]) -> set[tuple[PlatformHost | None, Rule]]:
    """Return what rules say, whatever they are called and however their hosts stand together."""
    return {
        (host, replace(rule, name="", hosts=())) for rule in rules for host in rule.hosts or (None,)
    }


def write(target: Format, policy: Policy, present: bytes | None = None) -> bytes:
    """Write a policy in a format."""
    assert target.write is not None
    return target.write(rules_of(policy, target.semantics).rules, present)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_read_again(name: str) -> None:
    """And recognized; written once more, not a byte changes."""
    target = format_named(name)
    text = write(target, policy_for(target))

    assert said(rules_of(policy_for(target), target.semantics).rules) == said(
        target.read(text).rules
    )
    assert text == write(target, policy_for(target), text)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_changed_pin_is_exchanged(name: str) -> None:
    """In the place of the old one, which is there no longer."""
    target = format_named(name)
    policy = replace(POLICY, pin_sets=(replace(PAY, leaf=(FOUR,), hosts=PAY.hosts[:1]),))
    before = write(target, replace(POLICY, pin_sets=(replace(PAY, hosts=PAY.hosts[:1]),)))

    pins = {pin for rule in target.read(write(target, policy, before)).rules for pin in rule.pins}

    assert {FOUR, TWO} == pins


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\xff\xfe", b"<", b"{", b"[" * 100_000, b"a" * (17 * 1024 * 1024)],
    ids=["nothing", "bytes", "a bracket", "a brace", "deep", "long"],
)
def test_what_is_no_such_file_is_an_error_or_empty(name: str, data: bytes) -> None:
    """Never a crash."""
    with suppress(PolicyError):
        assert () == format_named(name).read(data).rules
