from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.errors import PolicyError
from holdfast.formats.decide import decide
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Effect
from holdfast.formats.platform import Expiry, Kinds, Overlap, Places, PlatformHost, Rule, Semantics
from holdfast.formats.to_policy import policy_of
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Unlisted
from tests.formats.test_from_policy import AUTHORITIES, HOSTS, LEAVES, NOW, PLATFORMS, chains

LEAF_PINS = [Pin(PinAlgorithm.SPKI, one.spki_sha256) for one in LEAVES]
CA_PINS = [Pin(PinAlgorithm.SPKI, one.spki_sha256) for one in AUTHORITIES]
some_leaves = st.lists(st.sampled_from(LEAF_PINS), max_size=3, unique=True).map(tuple)
some_authorities = st.lists(st.sampled_from(CA_PINS), max_size=2, unique=True).map(tuple)


@st.composite
def rules(draw: st.DrawFn, semantics: Semantics) -> list[Rule]:
    """Make rules that a platform could have."""
    made: list[Rule] = []
    taken: set[str] = set()
    for name in ("one", "two")[: draw(st.integers(1, 2))]:
        entries = st.builds(
            PlatformHost, st.sampled_from(HOSTS[:4]), st.sampled_from(semantics.entries)
        )
        hosts = tuple(
            draw(st.lists(entries, min_size=1, max_size=2, unique_by=lambda one: one.host))
        )
        leaf, ca = draw(some_leaves), draw(some_authorities)
        is_by_role = semantics.places in (Places.BOTH_ROLES, Places.EITHER_ROLE)
        rule = Rule(
            name=name,
            hosts=hosts,
            anywhere=leaf + ca if semantics.places is Places.ANYWHERE else (),
            leaf=() if semantics.places is Places.ANYWHERE else leaf,
            ca=ca if is_by_role else (),
            enforced=not semantics.report_only or draw(st.booleans()),
            expires=draw(st.sampled_from([None, date(2027, 1, 1), date(2027, 6, 1)]))
            if semantics.expiry is not Expiry.NONE
            else None,
        )
        if len(rule.pins) >= semantics.minimum and taken.isdisjoint(one.host for one in hosts):
            taken.update(one.host for one in hosts)
            made.append(rule)
    assume(made)
    return made


@pytest.mark.parametrize("platform", PLATFORMS)
@given(data=st.data(), host=st.sampled_from(HOSTS), chain=chains)
def test_what_is_decided_otherwise_is_a_loss(
    platform: str, data: st.DataObject, host: str, chain: VerifiedChain
) -> None:
    """A policy that was made of a file decides as the platform, but where a loss says so."""
    semantics = PLATFORMS[platform]
    given_rules = data.draw(rules(semantics))
    imported = policy_of(given_rules, semantics, ca_pins=data.draw(some_authorities))
    ours = evaluate(imported.policy, host, chain, NOW)
    theirs = decide(given_rules, semantics, host, chain, NOW)

    if ours.allowed is not theirs.allowed:
        effect = Effect.REFUSES if theirs.allowed else Effect.LETS_THROUGH
        names = {None, ours.pin_set.name if ours.pin_set else None, *theirs.rules}
        assert [one for one in imported.losses if one.effect is effect and one.subject in names]


@pytest.mark.parametrize("platform", PLATFORMS)
@given(data=st.data())
def test_there_and_back_is_the_same(platform: str, data: st.DataObject) -> None:
    """What a file says, a policy made of it says too: written again, it is the same."""
    semantics = PLATFORMS[platform]
    given_rules = data.draw(rules(semantics))
    if semantics.overlap is Overlap.UNION:
        assume(len(given_rules) == 1)  # of more, what adds up is written out

    policy = policy_of(given_rules, semantics).policy

    assert given_rules == list(rules_of(policy, semantics).rules)


def test_pins_without_a_place_are_those_of_a_leaf_unless_a_chain_says_otherwise() -> None:
    """The first is the key in use, the others are in reserve."""
    semantics = PLATFORMS["union"]
    rule = Rule(name="api", hosts=(PlatformHost("h.test"),), anywhere=(*LEAF_PINS[:2], CA_PINS[0]))
    guessed = policy_of([rule], semantics).policy.pin_sets[0]
    known = policy_of([rule], semantics, ca_pins=CA_PINS).policy.pin_sets[0]

    assert (LEAF_PINS[0],) == guessed.leaf == known.leaf
    assert (LEAF_PINS[1], CA_PINS[0]) == guessed.backup
    assert ((LEAF_PINS[1],), (CA_PINS[0],)) == (known.backup, known.ca)


def test_one_pin_is_a_set_that_accepts_lock_out_and_a_loss_says_that_nobody_was_asked() -> None:
    """It would not load otherwise, and it is how things stand."""
    rule = Rule(name="api", hosts=(PlatformHost("h.test"),), leaf=(LEAF_PINS[0],))
    imported = policy_of([rule], PLATFORMS["leaf only"], unlisted=Unlisted.REFUSE)

    assert Mode.ENFORCE is imported.policy.pin_sets[0].mode
    assert imported.policy.pin_sets[0].single_pin is not None
    assert Unlisted.REFUSE is imported.policy.unlisted
    assert ["number-of-pins"] == [loss.kind.value for loss in imported.losses]


def test_a_file_without_hosts_is_for_those_that_are_named() -> None:
    """Names of sets are made fit, and each stands once."""
    semantics = Semantics(title="C", entries=(), places=Places.LEAF, hosts=False)
    pattern = HostPattern.parse("**.h.test")
    twice = [Rule(name="my file", hosts=(), leaf=(pin,)) for pin in LEAF_PINS[:2]]

    first = policy_of(twice[:1], semantics, hosts=(pattern,)).policy.pin_sets[0]

    assert ("my-file", (pattern,)) == (first.name, first.hosts)
    with pytest.raises(PolicyError, match="already"):
        policy_of(twice, semantics, hosts=(pattern,))


def test_hosts_that_are_taken_out_follow_the_wider_rule() -> None:
    """A policy has no hole; where nothing is around them, nothing is lost."""
    semantics = PLATFORMS["longest, any depth"]
    wide = Rule(
        name="wide", hosts=(PlatformHost("h.test", Kinds.ANY_DEPTH),), anywhere=tuple(LEAF_PINS)
    )
    hole = Rule(name="hole", hosts=(PlatformHost("a.h.test"),), exempt=True)
    alone = Rule(name="alone", hosts=(PlatformHost("other.test"),), exempt=True)

    losses = policy_of([wide, hole, alone], semantics).losses

    assert {("wide", Effect.REFUSES), ("hole", Effect.REFUSES)} == {
        (loss.subject, loss.effect) for loss in losses
    }
