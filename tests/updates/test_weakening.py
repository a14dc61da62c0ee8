from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from holdfast.errors import PolicyError
from holdfast.pins.chain import ChainCertificate, ProvenLeaf, VerifiedChain
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.evaluate import evaluate
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
from holdfast.pins.policy import OnStale, Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict
from holdfast.updates.weakening import (
    Change,
    Kind,
    changes,
    may_be_made_by_pins_role,
    weakens,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEAKER, STRONGER, NEUTRAL, PINS = Kind.WEAKENING, Kind.STRENGTHENING, Kind.NEUTRAL, Kind.PINS
REFUSE, REPORT_ONLY, ALLOW = Unlisted.REFUSE, Unlisted.REPORT_ONLY, Unlisted.ALLOW
CLIENT, OTHER_CLIENT = map(ClientIdentity, ("spiffe://example.com/a", "b.example.com"))

Fields = dict[str, Any]
LAX: Fields = {"mode": Mode.REPORT_ONLY, "redirects": Redirects.PINNED_ONLY}
PRIVATE: Fields = {"trust": Trust.PRIVATE, "anchors": (b"root",)}


def key(name: str) -> Pin:
    """Return a key pin."""
    return Pin.of_spki(name.encode())


def pin_set(name: str, *hosts: str, **fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set with a leaf pin and a backup."""
    sound: Fields = {
        "name": name,
        "hosts": tuple(map(HostPattern.parse, hosts)),
        "mode": Mode.ENFORCE,
        "leaf": (key("key"),),
        "backup": (key("spare"),),
    }
    return PinSet(**sound | fields)


def policy(*sets: PinSet, unlisted: Unlisted = ALLOW, **fields: Any) -> Policy:  # noqa: ANN401
    """Return a policy with these sets."""
    return Policy(unlisted=unlisted, pin_sets=sets, **fields)


def kinds(baseline: Policy, update: Policy) -> set[tuple[str, Kind]]:
    """Return what changes, by place."""
    return {(change.place, change.kind) for change in changes(baseline, update)}


API = pin_set("api", "api.x")
WIDE = pin_set("wide", "**.x")


@pytest.mark.parametrize(
    ("baseline", "update", "there", "back"),
    [
        pytest.param(
            policy(unlisted=REFUSE), policy(unlisted=REPORT_ONLY),
            {("holdfast.unlisted", WEAKER)}, {("holdfast.unlisted", STRONGER)},
            id="unlisted hosts are reported only",
        ),
        pytest.param(
            policy(unlisted=REPORT_ONLY), policy(unlisted=ALLOW),
            {("holdfast.unlisted", WEAKER)}, {("holdfast.unlisted", STRONGER)},
            id="unlisted hosts are allowed",
        ),
        pytest.param(
            policy(on_stale=OnStale.REFUSE), policy(on_stale=OnStale.ENFORCE),
            {("holdfast.on_stale", WEAKER)}, {("holdfast.on_stale", STRONGER)},
            id="a stale policy is enforced",
        ),
        pytest.param(
            policy(on_stale=OnStale.ENFORCE), policy(on_stale=OnStale.REPORT_ONLY),
            {("holdfast.on_stale", WEAKER)}, {("holdfast.on_stale", STRONGER)},
            id="a stale policy is report-only",
        ),
        pytest.param(
            policy(denied=(key("a"), key("b"))), policy(denied=(key("c"), key("b"))),
            {("holdfast.denied", WEAKER), ("holdfast.denied", STRONGER)},
            {("holdfast.denied", WEAKER), ("holdfast.denied", STRONGER)},
            id="another key is denied",
        ),
        pytest.param(
            policy(API), policy(),
            {("pin_set.api.hosts", WEAKER)}, {("pin_set.api.hosts", STRONGER)},
            id="a set is dropped",
        ),
        pytest.param(
            policy(API, unlisted=REFUSE), policy(unlisted=REFUSE),
            {("pin_set.api.hosts", STRONGER)}, {("pin_set.api.hosts", WEAKER)},
            id="a set is dropped where unlisted hosts are refused",
        ),
        pytest.param(
            policy(API, unlisted=REFUSE), policy(unlisted=ALLOW),
            {("pin_set.api.hosts", WEAKER), ("holdfast.unlisted", WEAKER)},
            {("pin_set.api.hosts", STRONGER), ("holdfast.unlisted", STRONGER)},
            id="a set is dropped and unlisted hosts are allowed",
        ),
        pytest.param(
            policy(replace(API, **LAX), WIDE), policy(WIDE),
            {("pin_set.api.hosts", WEAKER), ("pin_set.wide.mode", STRONGER)},
            {("pin_set.api.hosts", STRONGER), ("pin_set.api.mode", WEAKER)},
            id="a weaker and more specific pattern",
        ),
        pytest.param(
            policy(WIDE), policy(WIDE, replace(API, leaf=(key("next"),))),
            {("pin_set.api.hosts", STRONGER), ("pin_set.api.leaf", PINS)},
            {("pin_set.api.hosts", WEAKER), ("pin_set.wide.leaf", PINS)},
            id="a more specific pattern with other pins",
        ),
        pytest.param(
            policy(WIDE), policy(pin_set("wide", "**.x", "api.x")),
            {("pin_set.wide.hosts", NEUTRAL)}, {("pin_set.wide.hosts", NEUTRAL)},
            id="a pattern that was covered already",
        ),
        pytest.param(
            policy(pin_set("wide", "**.x", "y")), policy(WIDE),
            {("pin_set.wide.hosts", WEAKER)}, {("pin_set.wide.hosts", STRONGER)},
            id="a pattern is dropped",
        ),
        pytest.param(
            policy(WIDE, pin_set("one", "*.x", **LAX)),
            policy(pin_set("one", "**.x", **LAX)),
            {("pin_set.one.mode", WEAKER), ("pin_set.one.hosts", NEUTRAL)},
            {("pin_set.wide.mode", STRONGER), ("pin_set.wide.hosts", NEUTRAL),
             ("pin_set.one.hosts", NEUTRAL)},
            id="a wider pattern takes the place of two",
        ),
        pytest.param(
            policy(API, WIDE), policy(pin_set("wide", "**.x", "api.x")),
            {("pin_set.wide.hosts", NEUTRAL)}, {("pin_set.api.hosts", NEUTRAL)},
            id="a pattern moves to another set",
        ),
        pytest.param(
            policy(), policy(replace(API, **PRIVATE)),
            {("pin_set.api.hosts", STRONGER), ("pin_set.api.trust", WEAKER)},
            {("pin_set.api.hosts", WEAKER), ("pin_set.api.trust", WEAKER)},
            id="unlisted hosts get private trust",
        ),
        pytest.param(
            policy(unlisted=REFUSE), policy(replace(API, **PRIVATE), unlisted=REFUSE),
            {("pin_set.api.hosts", WEAKER)}, {("pin_set.api.hosts", STRONGER)},
            id="refused hosts get private trust",
        ),
        pytest.param(
            policy(unlisted=REPORT_ONLY),
            policy(replace(API, expires=NOW, on_expiry=OnExpiry.ALLOW), unlisted=REPORT_ONLY),
            {("pin_set.api.hosts", STRONGER), ("pin_set.api.on_expiry", WEAKER)},
            {("pin_set.api.hosts", WEAKER), ("pin_set.api.on_expiry", STRONGER)},
            id="unlisted hosts are reported no longer after an expiry",
        ),
        pytest.param(
            policy(pin_set("in", clients=(CLIENT,))),
            policy(pin_set("in", clients=(CLIENT, OTHER_CLIENT), **LAX)),
            {("pin_set.in.clients", WEAKER), ("pin_set.in.mode", WEAKER)},
            {("pin_set.in.clients", WEAKER), ("pin_set.in.mode", STRONGER)},
            id="a set for clients alone",
        ),
        pytest.param(
            policy(), policy(pin_set("in", clients=(CLIENT,))),
            {("pin_set.in.clients", WEAKER)}, {("pin_set.in.clients", WEAKER)},
            id="a new set for clients",
        ),
        pytest.param(
            policy(API, WIDE), policy(WIDE, replace(API, backup=(key("next"),))),
            {("pin_set.api.backup", PINS)}, {("pin_set.api.backup", PINS)},
            id="other pins",
        ),
    ],
)  # fmt: skip
def test_what_changes(
    baseline: Policy,
    update: Policy,
    there: set[tuple[str, Kind]],
    back: set[tuple[str, Kind]],
) -> None:
    """Each difference is found once, at its place and with what it does, in both directions."""
    assert there == kinds(baseline, update)
    assert back == kinds(update, baseline)


def test_what_weakens_stands_first() -> None:
    """Whoever signs reads first what matters most; each change is told once for all hosts."""
    baseline = policy(pin_set("api", "a.x", "b.x", strict=True))
    update = policy(
        pin_set("api", "a.x", "b.x", owner="me", leaf=(key("next"),)), denied=(key("bad"),)
    )

    assert (
        Change("pin_set.api.strict", "strict goes from true to false", WEAKER),
        Change("holdfast.denied", f"denies {key('bad')}", STRONGER),
        Change("pin_set.api.owner", "owner goes from 'nobody' to 'me'", NEUTRAL),
        Change("pin_set.api.leaf", f"leaf adds {key('next')} and removes {key('key')}", PINS),
    ) == changes(baseline, update)


def test_words_name_the_hosts_that_move() -> None:
    """Hosts that come under another set are named, as patterns."""
    words = {
        change.words
        for change in changes(policy(WIDE), policy(WIDE, pin_set("deep", "**.a.x", **LAX)))
    }

    assert {
        "**.a.x is new",
        "mode goes from enforce to report-only for a.x, *.a.x, **.a.x",
    } == words


def test_the_role_pins_changes_pins_and_nothing_else() -> None:
    """Nothing at all and other pins may be signed by the online role, all else may not."""
    moved = replace(API, leaf=(key("next"),))

    assert may_be_made_by_pins_role(())
    assert may_be_made_by_pins_role(changes(policy(API), policy(moved)))
    for update in (
        policy(replace(moved, strict=True)),
        policy(replace(moved, owner="me")),
        policy(moved, denied=(key("bad"),)),
        policy(moved, WIDE),
        policy(replace(moved, **PRIVATE)),
    ):
        assert not may_be_made_by_pins_role(changes(policy(API), update))


def test_only_a_weakening_needs_leave() -> None:
    """Stronger, neutral and other pins do not weaken."""
    stronger = replace(API, strict=True, owner="me", leaf=(key("next"),))

    assert not weakens(())
    assert not weakens(changes(policy(API), policy(stronger)))
    assert weakens(changes(policy(stronger), policy(API)))


PATTERNS = ["x", "*.x", "**.x", "a.x", "*.a.x", "**.a.x", "y"]
HOSTS = ["x", "a.x", "b.x", "c.a.x", "d.c.a.x", "d.b.x", "y", "z.y"]
LEAVES, CAS, ROOTS = ["l1", "l2", "bad"], ["c1", "c2", "bad"], ["r1", "r2"]
TIMES = [NOW + days * DAY for days in (-9, -1, 0, 1, 2, 9)]


def certificate(name: str) -> ChainCertificate:
    """Return a stand-in for a certificate; evaluation only looks at its bytes and digests."""
    return ChainCertificate(name.encode(), key(name).digest, Pin.of_certificate(b"x").digest)


CHAINS: list[VerifiedChain | ProvenLeaf] = [
    *(
        VerifiedChain(tuple(map(certificate, names)))
        for names in itertools.product(LEAVES, CAS, ROOTS)
    ),
    *(ProvenLeaf(certificate(name)) for name in LEAVES),
]


def pins(names: list[str], *, least: int = 0) -> st.SearchStrategy[tuple[Pin, ...]]:
    """Draw some of these keys."""
    drawn = st.lists(st.sampled_from(names), min_size=least, max_size=2, unique=True)
    return drawn.map(lambda chosen: tuple(map(key, chosen)))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "mode": st.sampled_from(Mode),
    "leaf": pins(["l1", "l2"]),
    "backup": pins(["spare", "other spare"], least=1),
    "ca": pins(["c1", "c2", "r1"]),
    "require": st.sampled_from(Require),
    "trust": st.sampled_from(Trust),
    "anchors": st.lists(st.sampled_from([b"r1", b"r2"]), unique=True).map(tuple),
    "expires": st.sampled_from([None, NOW, NOW + DAY]),
    "on_expiry": st.sampled_from([None, *OnExpiry]),
    "report_only_until": st.sampled_from([None, NOW, NOW + DAY]),
    "strict": st.booleans(),
    "single_pin": st.sampled_from([None, ACCEPT_LOCK_OUT]),
    "redirects": st.sampled_from([None, *Redirects]),
    "check_name": st.sampled_from([None, False]),
    "owner": st.sampled_from([None, "me"]),
    "clients": st.sampled_from([(), (CLIENT,)]),
}


@st.composite
def pin_sets(draw: st.DrawFn, name: str, hosts: tuple[str, ...]) -> PinSet:
    """Draw a set by making a few changes to a plain one."""
    plain = pin_set(name, *hosts, leaf=(key("l1"),), backup=(key("spare"),), clients=())
    return draw(changed_sets(plain)) if draw(st.booleans()) else plain


@st.composite
def changed_sets(draw: st.DrawFn, original: PinSet, keys: tuple[str, ...] = ()) -> PinSet:
    """Draw a sound set that differs from another in some of these fields, or in none."""
    names = st.sampled_from(keys or sorted(VALUES))
    fields = draw(st.lists(names, max_size=3, unique=True))
    changed: Fields = {field: draw(VALUES[field]) for field in fields}
    if "trust" in changed:
        changed["anchors"] = (b"r1",) if changed["trust"] is Trust.PRIVATE else ()
    if "expires" in changed or "on_expiry" in changed:
        changed["expires"] = changed.get("expires") or NOW
        changed["on_expiry"] = changed.get("on_expiry") or draw(st.sampled_from(OnExpiry))
    if changed.get("clients"):
        changed["clients"] = (ClientIdentity(f"{original.name}.clients"),)  # no other set has it
    try:
        return replace(original, **changed)
    except PolicyError:
        return original


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "unlisted": st.sampled_from(Unlisted),
    "on_stale": st.sampled_from(OnStale),
    "denied": pins(["bad", "c2"]),
}


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of at most three sets over a few related patterns."""
    owners: dict[str, list[str]] = {}
    for pattern in draw(st.lists(st.sampled_from(PATTERNS), unique=True, max_size=4)):
        owners.setdefault(draw(st.sampled_from("abc")), []).append(pattern)
    sets = [draw(pin_sets(name, tuple(hosts))) for name, hosts in owners.items()]
    return Policy(pin_sets=tuple(sets), **{name: draw(one) for name, one in SETTINGS.items()})


@st.composite
def updates(draw: st.DrawFn, baseline: Policy) -> Policy:
    """Draw a policy that is another one but for a few things, as an update would be."""
    fields: Fields = {
        name: draw(one) for name, one in SETTINGS.items() if draw(st.integers(0, 4)) == 0
    }
    sets = [draw(changed_sets(one)) for one in baseline.pin_sets]
    if sets and draw(st.integers(0, 4)) == 0:
        sets.pop(draw(st.integers(0, len(sets) - 1)))
    used = {str(pattern) for one in sets for pattern in one.hosts}
    free = [pattern for pattern in PATTERNS if pattern not in used]
    if free and draw(st.integers(0, 3)) == 0:
        sets.append(draw(pin_sets("new", (draw(st.sampled_from(free)),))))
    return replace(baseline, pin_sets=tuple(sets), **fields)


PAIRS = policies().flatmap(lambda old: st.tuples(st.just(old), updates(old) | policies()))


def is_laxer(old: Verdict, new: Verdict) -> bool:
    """Tell whether more passes, or passes without a report although no pin is on the path."""
    if not new.allowed or new.outcome is Outcome.MATCH:
        return new.allowed and not old.allowed
    return not old.allowed or (old.violation and not new.violation)


@given(policies())
def test_a_policy_is_no_change_of_itself(one: Policy) -> None:
    """Neither the same object nor an equal one, in another order, has a difference."""
    turned = replace(
        one,
        denied=one.denied[::-1],
        pin_sets=tuple(
            replace(each, hosts=each.hosts[::-1], leaf=each.leaf[::-1], ca=each.ca[::-1])
            for each in reversed(one.pin_sets)
        ),
    )

    assert () == changes(one, one) == changes(one, replace(one)) == changes(one, turned)


@given(PAIRS)
def test_nothing_gets_laxer_without_a_word(pair: tuple[Policy, Policy]) -> None:
    """Where a path passes only under the update, a weakening or other pins have been found."""
    baseline, update = pair
    found = changes(baseline, update)
    assume(not {WEAKER, PINS} & {change.kind for change in found})
    event("a change" if found else "no change")

    assert [] == [
        (host, chain, time)
        for host, chain, time in itertools.product(HOSTS, CHAINS, TIMES)
        if is_laxer(evaluate(baseline, host, chain, time), evaluate(update, host, chain, time))
    ]


BOTH_WAYS = {"trust", "anchors", "clients", "on_expiry", "report_only_until"}


@given(PAIRS)
def test_the_way_back_is_the_reverse(pair: tuple[Policy, Policy]) -> None:
    """A weakening is a strengthening seen from the other side, but where no direction is safe."""
    there, back = (
        {(change.place.rpartition(".")[2], change.kind) for change in changes(*order)}
        for order in (pair, pair[::-1])
    )
    for key_, kind in there:
        if kind is STRONGER:
            assert (key_, WEAKER) in back
        elif kind is WEAKER and key_ in BOTH_WAYS:
            assert {(key_, WEAKER), (key_, STRONGER)} & back
        elif kind is WEAKER:
            assert (key_, STRONGER) in back
        else:
            assert (key_, kind) in back


@given(policies(), st.data())
def test_swapped_pins_are_pins_only(one: Policy, data: st.DataObject) -> None:
    """Other keys in the place of those of a set need no more than the role `pins`."""
    swapped = replace(
        one,
        pin_sets=tuple(
            replace(each, leaf=data.draw(pins(["m1", "m2"], least=1)))
            if each.leaf
            else replace(each, backup=data.draw(pins(["m1", "m2"], least=1)))
            if each.backup
            else each
            for each in one.pin_sets
        ),
    )
    found = changes(one, swapped)

    assert may_be_made_by_pins_role(found)
    assert bool(found) == (one != swapped)


@given(policies(), st.data())
def test_the_role_pins_leaves_the_rules_alone(baseline: Policy, data: st.DataObject) -> None:
    """What it may sign is the baseline again, once the pins are put back."""
    keys = ("leaf", "backup", "ca", "owner", "strict")
    drawn = [data.draw(changed_sets(each, keys)) for each in baseline.pin_sets]
    update = replace(baseline, pin_sets=tuple(drawn))
    restored = replace(
        update,
        pin_sets=tuple(
            replace(new, leaf=old.leaf, backup=old.backup, ca=old.ca)
            for old, new in zip(baseline.pin_sets, update.pin_sets, strict=True)
        ),
    )
    event("pins" if may_be_made_by_pins_role(changes(baseline, update)) else "more")

    assert may_be_made_by_pins_role(changes(baseline, update)) == (
        () == changes(baseline, restored)
    )
