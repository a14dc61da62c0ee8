from datetime import UTC, date, datetime

import pytest

from holdfast.formats.decide import decide
from holdfast.formats.platform import Expiry, Kinds, Overlap, PlatformHost, Rule, Semantics
from holdfast.pins.chain import PresentedChain, VerifiedChain
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.formats.test_from_policy import AUTHORITIES, LEAVES, PLATFORMS

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
PIN, OTHER = (Pin(PinAlgorithm.SPKI, one.spki_sha256) for one in LEAVES[:2])
CA_PIN = Pin(PinAlgorithm.SPKI, AUTHORITIES[0].spki_sha256)
PATH = VerifiedChain((LEAVES[0], AUTHORITIES[0]))
OTHER_PATH = VerifiedChain((LEAVES[1], AUTHORITIES[1]))
LONGEST, UNION = PLATFORMS["longest, any depth"], PLATFORMS["union"]


def rule(host: str, *pins: Pin, kinds: Kinds = Kinds.APEX, name: str = "one") -> Rule:
    """Make a rule for one host."""
    return Rule(name=name, hosts=(PlatformHost(host, kinds),), anywhere=pins)


def test_a_pin_on_the_path_lets_through_and_no_other_does() -> None:
    """The names of the rules that count are told."""
    for chain, allowed in ((PATH, True), (OTHER_PATH, False)):
        verdict = decide([rule("h.test", PIN)], LONGEST, "h.test", chain, NOW)
        assert (allowed, ("one",)) == (verdict.allowed, verdict.rules)


def test_the_most_specific_rule_counts_alone_or_all_add_up() -> None:
    """Android takes the longest; OkHttp the union."""
    rules = [
        rule("h.test", PIN, kinds=Kinds.ANY_DEPTH, name="wide"),
        rule("a.h.test", OTHER, name="exact"),
    ]

    assert not decide(rules, LONGEST, "a.h.test", PATH, NOW).allowed
    assert decide(rules, UNION, "a.h.test", PATH, NOW).allowed
    assert decide(rules, LONGEST, "b.h.test", PATH, NOW).allowed


def test_a_path_that_does_not_verify_is_refused_unless_the_platform_asks_for_pins_alone() -> None:
    """A pin in what was sent proves nothing where the chain counts."""
    sent = PresentedChain((LEAVES[0],))
    alone = Semantics(title="N", entries=(Kinds.APEX,), verifies=False)

    assert not decide([rule("h.test", PIN)], LONGEST, "h.test", sent, NOW).allowed
    assert decide([rule("h.test", PIN)], alone, "h.test", sent, NOW).allowed
    assert not decide([rule("h.test", PIN)], alone, "h.test", PresentedChain(()), NOW).allowed


def test_after_the_day_nothing_is_pinned() -> None:
    """Where the platform knows expiry; elsewhere the pins stay."""
    over = Rule(
        name="o", hosts=(PlatformHost("h.test"),), anywhere=(OTHER,), expires=date(2027, 3, 1)
    )
    never = Semantics(title="N", entries=(Kinds.APEX,), expiry=Expiry.NONE)

    assert decide([over], LONGEST, "h.test", PATH, NOW).allowed
    assert not decide([over], LONGEST, "h.test", PATH, NOW.replace(month=2)).allowed
    assert not decide([over], never, "h.test", PATH, NOW).allowed


def test_lists_by_role_both_have_to_match() -> None:
    """A leaf pin alone is not enough where there is a list for CAs."""
    by_role = PLATFORMS["unknown, by role"]
    hosts = (PlatformHost("h.test"),)
    both = Rule(name="b", hosts=hosts, leaf=(PIN,), ca=(CA_PIN,))

    assert Overlap.UNKNOWN is by_role.overlap
    assert decide([both], by_role, "h.test", PATH, NOW).allowed
    wrong_ca = VerifiedChain((LEAVES[0], AUTHORITIES[1]))
    assert not decide([both], by_role, "h.test", wrong_ca, NOW).allowed


@pytest.mark.parametrize(
    ("host", "drops_dot", "folds_case", "pinned"),
    [
        ("h.test.", True, True, True),
        ("h.test.", False, True, False),
        ("H.TEST", True, True, True),
        ("H.TEST", True, False, False),
    ],
)
def test_a_host_that_is_not_canonical(
    host: str, *, drops_dot: bool, folds_case: bool, pinned: bool
) -> None:
    """Some platforms look it up as it is, and so do not pin it (CVE-2015-0832)."""
    semantics = Semantics(
        title="X", entries=(Kinds.APEX,), drops_dot=drops_dot, folds_case=folds_case
    )

    assert pinned is not decide([rule("h.test", PIN)], semantics, host, OTHER_PATH, NOW).allowed
