from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.certificates.spki import chain_certificate
from holdfast.lab.authorities import Authority
from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome
from holdfast.updates.document import BreakGlass, DenyList
from holdfast.updates.effective import effective_policy, wholly_denied

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
KEY, SPARE, CA, OTHER_CA, BAD = (
    Pin.of_spki(name) for name in (b"key", b"spare", b"ca", b"other", b"bad")
)
ROOT, OTHER_ROOT = (
    Authority.new(name).certificate.public_bytes(Encoding.DER) for name in ("root", "other root")
)
ROOT_KEY, OTHER_ROOT_KEY = (
    Pin(PinAlgorithm.SPKI, chain_certificate(der).spki_sha256) for der in (ROOT, OTHER_ROOT)
)
NO_PINS: dict[str, Any] = {"leaf": (), "backup": ()}
PRIVATE: dict[str, Any] = {"trust": Trust.PRIVATE, "anchors": (ROOT, OTHER_ROOT)}
FOREIGN = VerifiedChain((ChainCertificate(b"", BAD.digest, BAD.digest),))


def pin_set(name: str = "api", **fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set for the host of its name."""
    sound: dict[str, Any] = {
        "name": name,
        "hosts": (HostPattern.parse(f"{name}.example.com"),),
        "mode": Mode.ENFORCE,
        "leaf": (KEY,),
        "backup": (SPARE,),
    }
    return PinSet(**sound | fields)


def policy(*sets: PinSet, denied: tuple[Pin, ...] = ()) -> Policy:
    """Return a policy with these sets."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=sets, denied=denied)


def deny(*pins: Pin) -> DenyList:
    """Return a list that denies these keys."""
    return DenyList(serial=1, denied=frozenset(pins))


def glass(**until: datetime) -> BreakGlass:
    """Return break-glass for some sets."""
    return BreakGlass(serial=1, until=until)


def test_denied_keys_are_added() -> None:
    """What the policy denies stays, what the list denies comes behind it, each key once."""
    signed = policy(pin_set(), denied=(KEY,))
    effective, notes = effective_policy(signed, deny(KEY, BAD), None, NOW)

    assert (KEY, BAD) == effective.denied
    assert signed.pin_sets == effective.pin_sets
    assert () == notes


@pytest.mark.parametrize("list_", [None, deny(), deny(KEY)])
@pytest.mark.parametrize(
    "glass_", [None, glass(), glass(api=NOW), glass(api=NOW - DAY), glass(seen=NOW + DAY)]
)
def test_where_nothing_applies_nothing_is_made(
    list_: DenyList | None, glass_: BreakGlass | None
) -> None:
    """The same object comes back, so that "unchanged" can be seen by identity."""
    signed = policy(pin_set(), pin_set("seen", mode=Mode.REPORT_ONLY), denied=(KEY,))

    effective, notes = effective_policy(signed, list_, glass_, NOW)

    assert signed is effective
    assert () == notes


def test_break_glass_makes_one_set_report_only_for_a_while() -> None:
    """A mismatch passes until the given time and is refused from then on; other sets stay."""
    until = NOW + WEEK
    signed = policy(pin_set(), pin_set("web"))
    effective, notes = effective_policy(signed, None, glass(api=until), NOW)

    def outcomes(host: str) -> list[bool]:
        return [
            evaluate(effective, host, FOREIGN, time).allowed
            for time in (NOW, until - SECOND, until, until + DAY)
        ]

    assert () == notes
    assert [True, True, False, False] == outcomes("api.example.com")
    assert [False] * 4 == outcomes("web.example.com")


def test_a_denied_key_is_refused_under_break_glass() -> None:
    """Break-glass lets other keys in, never a denied one."""
    effective, _ = effective_policy(policy(pin_set()), deny(BAD), glass(api=NOW + DAY), NOW)
    verdict = evaluate(effective, "api.example.com", FOREIGN, NOW)

    assert (Outcome.DENIED, False) == (verdict.outcome, verdict.allowed)


@pytest.mark.parametrize(
    ("fields", "until", "reason"),
    [
        ({"strict": True}, NOW + DAY, "the set is strict"),
        (PRIVATE, NOW + DAY, "the set has private trust"),
        ({"trust": Trust.PINS_ONLY}, NOW + DAY, "the set has pins-only trust"),
        ({}, NOW + WEEK + SECOND, "it would last more than 7 days"),
        ({}, datetime.max.replace(tzinfo=UTC), "it would last more than 7 days"),
    ],
)
def test_what_break_glass_does_not_reach_is_said(
    fields: dict[str, Any], until: datetime, reason: str
) -> None:
    """A set that must not be opened, or not that long, stays as it is, and the reason is given."""
    signed = policy(pin_set(**fields))
    effective, notes = effective_policy(signed, None, glass(api=until), NOW)

    assert signed is effective
    assert (f"break-glass for 'api' has no effect: {reason}",) == notes


def test_an_unknown_set_is_said() -> None:
    """A name that the policy does not have changes nothing, and is fit for a log."""
    signed = policy(pin_set())
    unknown = BreakGlass(serial=1, until={"a\nb": NOW + DAY})

    assert (
        signed,
        ("break-glass for 'a\\nb' has no effect: the policy has no set of this name",),
    ) == effective_policy(signed, None, unknown, NOW)


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        (NOW + DAY, NOW + 2 * DAY, NOW + 2 * DAY),
        (NOW + 2 * DAY, NOW + DAY, NOW + 2 * DAY),
        (NOW - DAY, NOW + DAY, NOW + DAY),
        (NOW + WEEK + DAY, NOW + DAY, NOW + DAY),
    ],
)
def test_the_later_end_counts(own: datetime, given: datetime, expected: datetime) -> None:
    """A set that is report-only by itself stays so; an own end too far away does not count."""
    signed = policy(pin_set(report_only_until=own))
    effective, _ = effective_policy(signed, None, glass(api=given), NOW)

    assert expected == effective.pin_sets[0].report_only_until


@pytest.mark.parametrize(
    ("fields", "denied", "is_denied"),
    [
        ({}, [KEY], False),
        ({}, [KEY, SPARE], True),
        ({}, [KEY, SPARE, BAD], True),
        ({"ca": (CA,)}, [KEY, SPARE], False),
        ({"ca": (CA,)}, [KEY, SPARE, CA], True),
        ({"ca": (CA, OTHER_CA), "require": Require.LEAF_AND_CA}, [KEY, SPARE], True),
        ({"ca": (CA, OTHER_CA), "require": Require.LEAF_AND_CA}, [CA, OTHER_CA], True),
        ({"ca": (CA, OTHER_CA), "require": Require.LEAF_AND_CA}, [KEY, CA], False),
        ({"backup": (Pin.of_certificate(b"spare"),)}, [KEY], False),
        ({**PRIVATE, **NO_PINS}, [KEY, SPARE], False),
        ({**PRIVATE, **NO_PINS}, [ROOT_KEY], False),
        ({**PRIVATE, **NO_PINS}, [ROOT_KEY, OTHER_ROOT_KEY], True),
        (PRIVATE, [KEY, SPARE], True),
    ],
)
def test_sets_that_nothing_satisfies_any_more_are_found(
    fields: dict[str, Any], denied: list[Pin], is_denied: bool
) -> None:
    """A deny list that would lock everybody out of a set can be told from one that would not."""
    signed = policy(pin_set(**fields), pin_set("other", leaf=(BAD,), backup=(CA,)))

    assert (("api",) if is_denied else ()) == wholly_denied(signed, deny(*denied))


def test_what_the_policy_denies_counts_too() -> None:
    """A list completes what the policy already denies."""
    assert ("api",) == wholly_denied(policy(pin_set(), denied=(KEY,)), deny(SPARE))
