"""The verdict table of the design, row by row, and the rules behind its words."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import pytest

from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import (
    effective_mode,
    evaluate,
    is_worth_verifying,
    undecidable,
    untrusted,
    without_path,
)
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Require, Trust
from holdfast.pins.policy import BREAK_GLASS_LIMIT, Policy, Unlisted
from holdfast.pins.verdict import Match, Outcome, Role, Verdict
from tests.pins.test_host_pins import UnreadableHostPins

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(days=1), NOW + timedelta(days=1)
HOST = "api.example.com"
UNLISTED = "unlisted.example"


def certificate(name: str) -> ChainCertificate:
    """Return a stand-in for a certificate; evaluation only looks at its digests."""
    der = f"certificate {name}".encode()
    key, whole = Pin.of_spki(f"key {name}".encode()), Pin.of_certificate(der)
    return ChainCertificate(der, key.digest, whole.digest)


def key_of(name: str) -> Pin:
    """Return the key pin of the certificate of this name."""
    return Pin(PinAlgorithm.SPKI, certificate(name).spki_sha256)


def whole_of(name: str) -> Pin:
    """Return the certificate pin of the certificate of this name."""
    return Pin(PinAlgorithm.CERTIFICATE, certificate(name).cert_sha256)


def path(*names: str) -> VerifiedChain:
    """Return a verified path of these certificates."""
    return VerifiedChain(tuple(certificate(name) for name in names))


RIGHT = path("leaf", "issuer", "root")
WRONG = path("impostor", "issuer", "root")


def policy(
    *,
    unlisted: Unlisted = Unlisted.ALLOW,
    denied: tuple[Pin, ...] = (),
    **fields: Any,  # noqa: ANN401
) -> Policy:
    """Return a policy with one set, of a leaf pin and a backup unless the fields say otherwise."""
    sound: dict[str, Any] = {
        "name": "payments",
        "hosts": (HostPattern.parse(HOST),),
        "mode": Mode.ENFORCE,
        "leaf": (key_of("leaf"),),
        "backup": (key_of("backup"),),
    }
    pin_set = PinSet(**sound | fields)
    return Policy(unlisted=unlisted, denied=denied, pin_sets=(pin_set,))


class Refusal(Protocol):
    """The functions that refuse without a verified path."""

    __name__: str

    def __call__(
        self, policy: Policy, host: str, reason: str, presented: PresentedChain
    ) -> Verdict:
        """Refuse."""
        ...


class Row(NamedTuple):
    """One row: what is decided, and what must come of it."""

    policy: Policy
    host: str
    chain: VerifiedChain | ProvenLeaf
    outcome: Outcome
    allowed: bool
    violation: bool
    mode: Mode | None


ENFORCE, REPORT_ONLY = Mode.ENFORCE, Mode.REPORT_ONLY
EXPIRED: dict[str, Any] = {"expires": PAST}
IN_FORCE: dict[str, Any] = {"expires": FUTURE}
BROKEN_GLASS: dict[str, Any] = {"report_only_until": FUTURE}
DENIED = (key_of("issuer"),)

ROWS = {
    "unlisted, refuse": Row(
        policy(unlisted=Unlisted.REFUSE), UNLISTED, RIGHT, Outcome.NOT_PINNED, False, True, None
    ),
    "unlisted, report-only": Row(
        policy(unlisted=Unlisted.REPORT_ONLY), UNLISTED, RIGHT, Outcome.NOT_PINNED, True, True, None
    ),
    "unlisted, allow": Row(policy(), UNLISTED, RIGHT, Outcome.NOT_PINNED, True, False, None),
    "unlisted, denied": Row(
        policy(denied=DENIED), UNLISTED, RIGHT, Outcome.DENIED, False, True, None
    ),
    "match": Row(policy(), HOST, RIGHT, Outcome.MATCH, True, False, ENFORCE),
    "match, report-only": Row(
        policy(mode=REPORT_ONLY), HOST, RIGHT, Outcome.MATCH, True, False, REPORT_ONLY
    ),
    "match, expired": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.ENFORCE), HOST, RIGHT, Outcome.MATCH, True, False,
        ENFORCE,
    ),
    "match, break-glass": Row(
        policy(**BROKEN_GLASS), HOST, RIGHT, Outcome.MATCH, True, False, REPORT_ONLY
    ),
    "mismatch": Row(policy(), HOST, WRONG, Outcome.MISMATCH, False, True, ENFORCE),
    "mismatch, report-only": Row(
        policy(mode=REPORT_ONLY), HOST, WRONG, Outcome.MISMATCH, True, True, REPORT_ONLY
    ),
    "mismatch, break-glass": Row(
        policy(**BROKEN_GLASS), HOST, WRONG, Outcome.MISMATCH, True, True, REPORT_ONLY
    ),
    "mismatch, break-glass over": Row(
        policy(report_only_until=NOW), HOST, WRONG, Outcome.MISMATCH, False, True, ENFORCE
    ),
    "mismatch, break-glass too far ahead": Row(
        policy(report_only_until=NOW + BREAK_GLASS_LIMIT + timedelta(seconds=1)),
        HOST, WRONG, Outcome.MISMATCH, False, True, ENFORCE,
    ),
    "mismatch, not yet expired": Row(
        policy(**IN_FORCE, on_expiry=OnExpiry.ALLOW), HOST, WRONG, Outcome.MISMATCH, False, True,
        ENFORCE,
    ),
    "expired, enforce": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.ENFORCE), HOST, WRONG, Outcome.MISMATCH, False, True,
        ENFORCE,
    ),
    "expired, enforce, report-only": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.ENFORCE, mode=REPORT_ONLY),
        HOST, WRONG, Outcome.MISMATCH, True, True, REPORT_ONLY,
    ),
    "expired, report-only": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.REPORT_ONLY), HOST, WRONG, Outcome.EXPIRED, True, True,
        ENFORCE,
    ),
    "expired, allow": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.ALLOW), HOST, WRONG, Outcome.EXPIRED, True, False,
        ENFORCE,
    ),
    "expired this moment": Row(
        policy(expires=NOW, on_expiry=OnExpiry.ALLOW), HOST, WRONG, Outcome.EXPIRED, True, False,
        ENFORCE,
    ),
    "expired, allow, report-only": Row(
        policy(**EXPIRED, on_expiry=OnExpiry.ALLOW, mode=REPORT_ONLY),
        HOST, WRONG, Outcome.EXPIRED, True, False, REPORT_ONLY,
    ),
    "expired, enforce, break-glass": Row(
        policy(**EXPIRED, **BROKEN_GLASS, on_expiry=OnExpiry.ENFORCE),
        HOST, WRONG, Outcome.MISMATCH, True, True, REPORT_ONLY,
    ),
    "a path for a pins-only set": Row(
        policy(trust=Trust.PINS_ONLY), HOST, RIGHT, Outcome.MATCH, True, False, ENFORCE
    ),
    "a proven leaf for a pins-only set": Row(
        policy(trust=Trust.PINS_ONLY), HOST, ProvenLeaf(certificate("leaf")), Outcome.MATCH, True,
        False, ENFORCE,
    ),
    "another proven leaf for a pins-only set": Row(
        policy(trust=Trust.PINS_ONLY), HOST, ProvenLeaf(certificate("impostor")), Outcome.MISMATCH,
        False, True, ENFORCE,
    ),
    "a denied proven leaf for a pins-only set": Row(
        policy(trust=Trust.PINS_ONLY, denied=(key_of("leaf"),)), HOST,
        ProvenLeaf(certificate("leaf")), Outcome.DENIED, False, True, ENFORCE,
    ),
    "a proven leaf for a public set": Row(
        policy(), HOST, ProvenLeaf(certificate("leaf")), Outcome.UNDECIDABLE, False, True, ENFORCE
    ),
    "a proven leaf for an unlisted host": Row(
        policy(), UNLISTED, ProvenLeaf(certificate("leaf")), Outcome.UNDECIDABLE, False, True, None
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_the_verdict_table(row: Row) -> None:
    """Each row gives its outcome, whether the connection goes on and is reported, and the mode."""
    verdict = evaluate(row.policy, row.host, row.chain, NOW)
    pin_set = row.policy.pin_sets[0] if row.host == HOST else None

    assert row.outcome is verdict.outcome
    assert row.allowed is verdict.allowed
    assert row.violation is verdict.violation
    assert row.mode is verdict.mode
    assert pin_set is verdict.pin_set
    assert row.host == verdict.host
    assert verdict.reason


SETTINGS = [
    {"mode": mode, **expiry, **glass}
    for mode, expiry, glass in itertools.product(
        Mode,
        [{}, *({**when, "on_expiry": then} for when in (EXPIRED, IN_FORCE) for then in OnExpiry)],
        [{}, BROKEN_GLASS],
    )
]


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_denied_key_refuses_in_every_setting(settings: dict[str, Any], position: int) -> None:
    """No mode, expiry or break-glass lets a denied key pass, wherever it stands on the path."""
    name = ("leaf", "issuer", "root")[position]
    verdict = evaluate(policy(denied=(key_of(name),), **settings), HOST, RIGHT, NOW)

    assert (Outcome.DENIED, False, True) == (verdict.outcome, verdict.allowed, verdict.violation)
    role = Role.CA if position else Role.LEAF
    assert Match(key_of(name), role, position) == verdict.matched


@pytest.mark.parametrize("unlisted", Unlisted)
def test_a_denied_key_refuses_on_unlisted_hosts(unlisted: Unlisted) -> None:
    """What happens to unlisted hosts does not matter when their key is denied."""
    verdict = evaluate(policy(unlisted=unlisted, denied=DENIED), UNLISTED, RIGHT, NOW)

    assert (Outcome.DENIED, False) == (verdict.outcome, verdict.allowed)
    assert verdict.pin_set is None


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_satisfied_set_always_matches(settings: dict[str, Any]) -> None:
    """A path with a pin of the set goes on in every setting, and is no violation."""
    verdict = evaluate(policy(**settings), HOST, RIGHT, NOW)

    assert (Outcome.MATCH, True, False) == (verdict.outcome, verdict.allowed, verdict.violation)


@pytest.mark.parametrize("refuse", [undecidable, untrusted])
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("host", [HOST, UNLISTED])
def test_what_was_not_verified_is_refused_in_every_mode(
    refuse: Refusal, mode: Mode, host: str
) -> None:
    """Report-only and an unlisted host weaken no chain validation."""
    presented = PresentedChain((certificate("leaf"),))
    verdict = refuse(policy(mode=mode), host, "why", presented)

    assert refuse.__name__ == verdict.outcome.value
    assert (False, True) == (verdict.allowed, verdict.violation)
    assert (mode if host == HOST else None) is verdict.mode
    assert presented is verdict.chain


@pytest.mark.parametrize(
    ("host", "denied", "outcome", "allowed"),
    [
        (HOST, (), Outcome.UNDECIDABLE, False),
        (HOST, DENIED, Outcome.UNDECIDABLE, False),
        (UNLISTED, DENIED, Outcome.UNDECIDABLE, False),
        (UNLISTED, (), Outcome.NOT_PINNED, True),
    ],
)
def test_a_missing_path_matters_where_a_pin_or_a_denied_key_does(
    host: str, denied: tuple[Pin, ...], outcome: Outcome, allowed: bool
) -> None:
    """Only an unlisted host under a policy that denies no key can do without a path."""
    verdict = without_path(policy(denied=denied), host, "no path")

    assert (outcome, allowed) == (verdict.outcome, verdict.allowed)


@pytest.mark.parametrize(
    ("fields", "chain", "matched"),
    [
        ({}, RIGHT, Match(key_of("leaf"), Role.LEAF, 0)),
        ({}, path("backup", "issuer"), Match(key_of("backup"), Role.LEAF, 0)),
        ({}, path("other", "leaf", "root"), None),
        ({}, path("other", "issuer", "backup"), None),
        ({"ca": (key_of("issuer"),)}, WRONG, Match(key_of("issuer"), Role.CA, 1)),
        ({"ca": (key_of("root"),)}, WRONG, Match(key_of("root"), Role.CA, 2)),
        ({"ca": (key_of("issuer"),)}, RIGHT, Match(key_of("leaf"), Role.LEAF, 0)),
        ({"ca": (key_of("issuer"),)}, path("issuer", "root"), None),
        ({"leaf": (whole_of("leaf"),)}, RIGHT, Match(whole_of("leaf"), Role.LEAF, 0)),
        ({"ca": (whole_of("root"),)}, WRONG, Match(whole_of("root"), Role.CA, 2)),
        ({"leaf": (whole_of("issuer"),)}, WRONG, None),
    ],
)
def test_a_pin_matches_in_its_role_only(
    fields: dict[str, Any], chain: VerifiedChain, matched: Match | None
) -> None:
    """Leaf and backup pins match at place 0, CA pins anywhere else; the first place is reported."""
    verdict = evaluate(policy(**fields), HOST, chain, NOW)

    assert matched == verdict.matched
    assert (matched is not None) is verdict.allowed


@pytest.mark.parametrize(
    ("chain", "outcome"),
    [
        (RIGHT, Outcome.MATCH),
        (path("backup", "root"), Outcome.MATCH),
        (WRONG, Outcome.MISMATCH),
        (path("leaf", "other", "another"), Outcome.MISMATCH),
        (path("leaf"), Outcome.MISMATCH),
    ],
)
def test_leaf_and_ca_asks_for_both(chain: VerifiedChain, outcome: Outcome) -> None:
    """With `require = leaf-and-ca` neither the leaf pin nor the CA pin is enough alone."""
    both = policy(ca=(key_of("issuer"), key_of("root")), require=Require.LEAF_AND_CA)
    verdict = evaluate(both, HOST, chain, NOW)

    assert outcome is verdict.outcome
    assert outcome is Outcome.MISMATCH or verdict.matched == Match(
        Pin(PinAlgorithm.SPKI, chain.certificates[0].spki_sha256), Role.LEAF, 0
    )


PRIVATE: dict[str, Any] = {"trust": Trust.PRIVATE, "anchors": (certificate("root").der,)}
NO_PINS: dict[str, Any] = {"leaf": (), "backup": ()}


@pytest.mark.parametrize(
    ("fields", "chain", "matched"),
    [
        (NO_PINS, RIGHT, Match(whole_of("root"), Role.CA, 2)),
        (NO_PINS, path("root"), Match(whole_of("root"), Role.LEAF, 0)),
        (NO_PINS, path("leaf", "issuer", "public root"), None),
        (NO_PINS, path("leaf", "root", "public root"), None),
        ({}, RIGHT, Match(key_of("leaf"), Role.LEAF, 0)),
        ({}, WRONG, None),
        ({}, path("leaf", "issuer", "public root"), None),
        ({**NO_PINS, "ca": (key_of("root"), key_of("x"))}, WRONG,
         Match(key_of("root"), Role.CA, 2)),
    ],
)  # fmt: skip
def test_a_private_set_is_satisfied_by_its_own_anchors_only(
    fields: dict[str, Any], chain: VerifiedChain, matched: Match | None
) -> None:
    """The path must end in an anchor of the set, and further pins must match as well."""
    verdict = evaluate(policy(**PRIVATE | fields), HOST, chain, NOW)

    assert matched == verdict.matched
    assert (Outcome.MATCH if matched else Outcome.MISMATCH) is verdict.outcome


def test_a_foreign_anchor_is_the_reason_of_a_private_set() -> None:
    """A pin on a path to a foreign anchor does not count, and the reason says so."""
    verdict = evaluate(policy(**PRIVATE), HOST, path("leaf", "issuer", "public root"), NOW)

    assert "the path does not end in an anchor of the set" == verdict.reason


def test_a_proven_leaf_is_no_path_for_a_private_set() -> None:
    """Even the pinned leaf is undecidable where a CA has to vouch for it."""
    verdict = evaluate(policy(**PRIVATE), HOST, ProvenLeaf(certificate("leaf")), NOW)

    assert (Outcome.UNDECIDABLE, False) == (verdict.outcome, verdict.allowed)


@pytest.mark.parametrize(
    ("fields", "chain", "words"),
    [
        ({}, path("backup", "root"), "backup key is in use"),
        ({**EXPIRED, "on_expiry": OnExpiry.ENFORCE}, RIGHT, "expired at 2026-10-31"),
        (BROKEN_GLASS, WRONG, "break-glass is in force until 2026-11-02"),
    ],
)
def test_the_hint_says_what_to_do(fields: dict[str, Any], chain: VerifiedChain, words: str) -> None:
    """A backup in use, an expired set and break-glass are pointed out."""
    hint = evaluate(policy(**fields), HOST, chain, NOW).hint

    assert hint is not None
    assert words in hint


def test_an_ordinary_match_needs_no_hint() -> None:
    """Where nothing is to be done, nothing is said."""
    assert evaluate(policy(), HOST, RIGHT, NOW).hint is None


def test_one_accepted_pin_is_enough() -> None:
    """A set whose owner accepted lock-out works like any other."""
    verdict = evaluate(policy(backup=(), single_pin=ACCEPT_LOCK_OUT), HOST, RIGHT, NOW)

    assert Outcome.MATCH is verdict.outcome


@pytest.mark.parametrize(
    ("until", "mode"),
    [
        (PAST, ENFORCE),
        (NOW, ENFORCE),
        (FUTURE, REPORT_ONLY),
        (NOW + BREAK_GLASS_LIMIT, REPORT_ONLY),
        (NOW + BREAK_GLASS_LIMIT + timedelta(microseconds=1), ENFORCE),
    ],
)
def test_break_glass_counts_for_seven_days_at_most(until: datetime, mode: Mode) -> None:
    """A clock set back does not stretch break-glass: what ends too far ahead is not in force."""
    assert mode is effective_mode(policy(report_only_until=until).pin_sets[0], NOW)


def test_only_a_row_that_would_match_is_worth_verifying() -> None:
    """The filter before a verification says of certificates what the decision says of a path."""
    expected, actual = {}, {}
    for name, row in ROWS.items():
        pin_set = row.policy.pin_set_for(row.host)
        if pin_set is not None and isinstance(row.chain, VerifiedChain):
            expected[name] = row.outcome is Outcome.MATCH
            actual[name] = is_worth_verifying(row.policy, pin_set, row.chain.certificates)

    assert expected == actual
    assert {True, False} == set(expected.values())


def test_a_denied_key_is_not_worth_verifying() -> None:
    """A key that is denied anywhere makes the best pins useless."""
    for name in ("leaf", "issuer", "root"):
        denying = policy(denied=(key_of(name),))
        assert not is_worth_verifying(denying, denying.pin_sets[0], RIGHT.certificates)


def test_host_pins_that_cannot_be_had_are_refused() -> None:
    """In every way of asking, and never judged as if the host had none."""
    unreadable = replace(policy(), host_pins=UnreadableHostPins())

    for verdict in (
        evaluate(unreadable, HOST, RIGHT, NOW),
        without_path(unreadable, HOST, "no path"),
        undecidable(unreadable, HOST, "no path"),
        untrusted(unreadable, HOST, "no path"),
    ):
        assert not verdict.allowed
        assert verdict.violation
    assert "damaged entry" in evaluate(unreadable, HOST, RIGHT, NOW).reason
    assert Outcome.NOT_PINNED is evaluate(unreadable, UNLISTED, RIGHT, NOW).outcome
