from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.evaluate import evaluate, undecidable, untrusted, without_path
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.local_exception import (
    EXCEPTION_LIMIT,
    LocalException,
    by_exception,
    ended_in,
    reach_of,
    vouching,
)
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict

NOW = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = NOW + timedelta(days=30)
HOST = "api.example.com"
KEY, SPARE, INSPECTED = (Pin.of_spki(name) for name in (b"key", b"spare", b"inspected"))
ANCHOR = b"the inspection CA"
ONE_SECOND = timedelta(seconds=1)


def exception(*hosts: str, **fields: Any) -> LocalException:  # noqa: ANN401
    """Return an exception for some hosts, by default the pinned one."""
    values = {
        "hosts": tuple(map(HostPattern.parse, hosts or (HOST,))),
        "anchor": ANCHOR,
        "until": UNTIL,
        "reason": "ticket NET-12",
    }
    return LocalException(**{**values, **fields})


def pin_set(name: str = "api", *hosts: str, **fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set."""
    pins = {"leaf": (KEY,), "backup": (SPARE,)}
    patterns = tuple(map(HostPattern.parse, hosts or (HOST,)))
    return PinSet(**{"name": name, "hosts": patterns, "mode": Mode.ENFORCE, **pins, **fields})


def policy_of(*sets: PinSet, **fields: Any) -> Policy:  # noqa: ANN401
    """Return a policy with these sets."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=sets, **fields)


def private(name: str = "api", *hosts: str) -> PinSet:
    """Return a set whose anchor is its pin."""
    return pin_set(name, *hosts, leaf=(), backup=(), trust=Trust.PRIVATE, anchors=(b"root",))


def decided(policy: Policy, leaf: bytes = b"inspected") -> Verdict:
    """Return what a policy says of a path that ends in the exception's anchor."""
    path = (leaf, ANCHOR)
    certificates = tuple(
        ChainCertificate(name, Pin.of_spki(name).digest, Pin.of_spki(name).digest) for name in path
    )
    return evaluate(policy, HOST, VerifiedChain(certificates), NOW)


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"hosts": ()}, ["hosts"]),
        ({"hosts": (HostPattern.parse(HOST),) * 2}, ["hosts[1]"]),
        ({"anchor": b""}, ["anchor"]),
        ({"until": datetime(2026, 11, 2)}, ["until"]),  # noqa: DTZ001  that is the mistake
        ({"reason": "  "}, ["reason"]),
        ({"reason": "two\nlines"}, ["reason"]),
        ({"hosts": (), "reason": ""}, ["hosts", "reason"]),
    ],
)
def test_broken_rules(fields: dict[str, Any], places: list[str]) -> None:
    """Each rule is checked when an exception is made, all at once."""
    with pytest.raises(PolicyError) as caught:
        exception(**fields)

    assert places == [problem.place for problem in caught.value.problems]
    assert all(problem.message and problem.fix for problem in caught.value.problems)


@pytest.mark.parametrize(
    "fields",
    [
        {"hosts": [HostPattern.parse(HOST)]},
        {"hosts": (HOST,)},
        {"anchor": "ca.pem"},
        {"until": "2027-01-31T00:00:00Z"},
        {"reason": None},
    ],
)
def test_other_types_are_refused(fields: dict[str, Any]) -> None:
    """Text where a pattern or a certificate belongs would cover nothing without a word."""
    with pytest.raises(TypeError, match="host patterns, DER"):
        exception(**fields)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (UNTIL - ONE_SECOND, True),
        (UNTIL, False),
        (UNTIL + ONE_SECOND, False),
        (UNTIL - EXCEPTION_LIMIT, True),
        (UNTIL - EXCEPTION_LIMIT - ONE_SECOND, False),
    ],
)
def test_it_is_in_force_for_ninety_days_at_most(now: datetime, expected: bool) -> None:
    """It ends by itself, and one further ahead than that says that the clock was set back."""
    assert expected is exception().is_in_force(now)


@pytest.mark.parametrize(
    ("covering", "count"),
    [
        (pin_set(), 1),
        (pin_set(mode=Mode.REPORT_ONLY), 1),
        (pin_set(strict=True), 0),
        (private(), 0),
        (pin_set(trust=Trust.PINS_ONLY), 0),
        (None, 0),
    ],
)
def test_whose_hosts_it_counts_for(covering: PinSet | None, count: int) -> None:
    """Its anchor vouches for hosts of public sets that are not strict, and for no others."""
    assert count == len(vouching((exception(),), HOST, covering, NOW))


def test_it_vouches_for_what_it_names_while_it_is_in_force() -> None:
    """Neither another's host nor a time outside has its anchor."""
    mine, others = exception(), exception("**.example.org")

    assert (mine,) == vouching((others, mine), HOST, pin_set(), NOW)
    assert () == vouching((others, mine), HOST, pin_set(), UNTIL)


def test_a_path_ends_in_exactly_its_anchor() -> None:
    """The anchor elsewhere on the path is not its end, and no path has none."""
    one = exception()

    assert one is ended_in((exception(anchor=b"another"), one), (b"leaf", ANCHOR))
    assert ended_in((one,), (ANCHOR, b"root")) is None
    assert ended_in((one,), ()) is None


def test_of_several_with_one_anchor_the_last_to_end_counts() -> None:
    """An exception that was written anew goes on where the old one ends."""
    old, new = exception(), exception(until=UNTIL + ONE_SECOND)

    assert new is ended_in((old, new), (b"leaf", ANCHOR))
    assert new is ended_in((new, old), (b"leaf", ANCHOR))


def test_what_it_lets_pass_is_a_violation_that_names_it() -> None:
    """A mismatch stays one, goes on, and says until when and why."""
    verdict = by_exception(policy_of(pin_set()), decided(policy_of(pin_set())), exception(), NOW)

    assert (Outcome.MISMATCH, True, True, Mode.ENFORCE) == (
        verdict.outcome,
        verdict.allowed,
        verdict.violation,
        verdict.mode,
    )
    assert (
        "no pin of the set is on the path; a local exception for api.example.com lets it pass "
        "until 2026-12-01T00:00:00+00:00: ticket NET-12"
    ) == verdict.reason


@pytest.mark.parametrize(
    ("one_set", "outcome"),
    [
        (pin_set(leaf=(INSPECTED,)), Outcome.MATCH),
        (pin_set(expires=NOW - ONE_SECOND, on_expiry=OnExpiry.ALLOW), Outcome.EXPIRED),
        (pin_set(mode=Mode.REPORT_ONLY), Outcome.MISMATCH),
    ],
)
def test_no_use_is_silent(one_set: PinSet, outcome: Outcome) -> None:
    """What pins or an expiry would let pass without a word is reported under an exception."""
    policy = policy_of(one_set)
    verdict = by_exception(policy, decided(policy), exception(), NOW)

    assert (outcome, True, True) == (verdict.outcome, verdict.allowed, verdict.violation)
    assert "ticket NET-12" in verdict.reason


def test_a_denied_key_stays_denied() -> None:
    """No exception lets a denied key pass, wherever on the path it stands."""
    policy = policy_of(pin_set(), denied=(Pin.of_spki(ANCHOR),))
    verdict = decided(policy)

    assert Outcome.DENIED is verdict.outcome
    assert verdict is by_exception(policy, verdict, exception(), NOW)


@pytest.mark.parametrize("refuse", [undecidable, untrusted])
def test_what_was_not_matched_stays_refused(refuse: Callable[..., Verdict]) -> None:
    """An exception says nothing of a path that cannot be read or does not verify."""
    policy = policy_of(pin_set())
    verdict = refuse(policy, HOST, "a parser failed")

    assert verdict is by_exception(policy, verdict, exception(), NOW)


@pytest.mark.parametrize("now", [UNTIL, UNTIL - EXCEPTION_LIMIT - ONE_SECOND])
@pytest.mark.parametrize("leaf", [b"inspected", b"key"])
@pytest.mark.parametrize("mode", list(Mode))
def test_out_of_force_the_path_is_untrusted(now: datetime, leaf: bytes, mode: Mode) -> None:
    """Nothing else vouches for the path then: neither the mode nor a pin makes up for it."""
    policy = policy_of(pin_set(mode=mode))
    verdict = by_exception(policy, decided(policy, leaf), exception(), now)

    assert (Outcome.UNTRUSTED, False, True) == (verdict.outcome, verdict.allowed, verdict.violation)
    assert "2026-12-01" in verdict.reason


@pytest.mark.parametrize("now_covering", [pin_set(strict=True), private(), None])
def test_under_a_policy_that_allows_it_no_more(now_covering: PinSet | None) -> None:
    """A set that has become strict or private, or is gone, does not take the path any more."""
    policy = policy_of(*([now_covering] if now_covering else []))
    for verdict in (decided(policy), without_path(policy, HOST, "cannot be read")):
        assert not by_exception(policy, verdict, exception(), NOW).allowed


@pytest.mark.parametrize(
    ("patterns", "sets", "hindered"),
    [
        ([HOST], ["api"], []),
        (["strict.example.com"], [], ["strict.example.com: pin set closed is strict"]),
        (["mesh.internal"], [], ["mesh.internal: pin set mesh has private trust"]),
        (["device.internal"], [], ["device.internal: pin set device has pins-only trust"]),
        (["other.example"], [], ["other.example: no pattern of the policy covers it"]),
        (["**.nothing.example"], [], ["**.nothing.example: no pattern of the policy covers it"]),
        (["*.example.com"], ["rest", "api"], ["*.example.com: pin set closed is strict"]),
        (["**.www.example.com"], ["rest"], []),
        (
            ["**.internal"],
            [],
            [
                "**.internal: pin set mesh has private trust",
                "**.internal: pin set device has pins-only trust",
            ],
        ),
        ([HOST, "mesh.internal"], ["api"], ["mesh.internal: pin set mesh has private trust"]),
    ],
)
def test_where_it_counts(patterns: list[str], sets: list[str], hindered: list[str]) -> None:
    """Each set that takes hosts from its patterns is named, or why it counts for nothing there."""
    policy = policy_of(
        pin_set("api"),
        pin_set("rest", "**.example.com"),
        pin_set("closed", "strict.example.com", strict=True),
        private("mesh", "mesh.internal"),
        pin_set("device", "device.internal", trust=Trust.PINS_ONLY),
    )
    reach = reach_of(exception(*patterns), policy)

    assert sets == list(reach.pin_sets)
    assert [f"it has no effect on {one}" for one in hindered] == list(reach.hindrances)


def test_a_broader_set_is_not_named_for_hosts_that_it_does_not_have() -> None:
    """The most specific pattern wins there too."""
    policy = policy_of(pin_set("wide", "**.com", strict=True), pin_set("own", "**.example.com"))
    reach = reach_of(exception("**.example.com"), policy)

    assert (("own",), ()) == (reach.pin_sets, reach.hindrances)


def test_a_pinned_anchor_is_told_too() -> None:
    """A set that pins the anchor itself makes the use no quieter."""
    pinned = replace(
        pin_set(),
        leaf=(),
        backup=(),
        ca=(Pin(PinAlgorithm.CERTIFICATE, Pin.of_spki(ANCHOR).digest), SPARE),
    )
    verdict = by_exception(policy_of(pinned), decided(policy_of(pinned)), exception(), NOW)

    assert (Outcome.MATCH, True) == (verdict.outcome, verdict.violation)
