from holdfast.formats.loss import Effect, Loss
from holdfast.formats.overlaps import merged, overlaps
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.pins.pin import Pin
from tests.formats.test_from_policy import PLATFORMS

ONE, TWO = Pin.of_spki(b"1"), Pin.of_spki(b"2")


def rule(name: str, host: str, pin: Pin, kinds: Kinds = Kinds.APEX) -> Rule:
    """Make a rule for one host."""
    return Rule(name=name, hosts=(PlatformHost(host, kinds),), anywhere=(pin,))


def test_a_host_that_two_rules_have_stands_in_one() -> None:
    """With the pins of both, and a loss for each."""
    losses: list[Loss] = []
    rules = [rule("a", "h.test", ONE), rule("b", "h.test", TWO, Kinds.ANY_DEPTH)]

    (joined,) = merged(rules, PLATFORMS["longest, any depth"], losses)

    assert (PlatformHost("h.test", Kinds.ANY_DEPTH),) == joined.hosts
    assert (ONE, TWO) == joined.anywhere
    assert {"a", "b"} == {loss.subject for loss in losses}


def test_rules_that_add_up_accept_each_others_pins() -> None:
    """Where they share hosts; where nobody says which counts, they may refuse too."""
    wide, exact = rule("a", "h.test", ONE, Kinds.ANY_DEPTH), rule("b", "x.h.test", TWO)
    apart = rule("c", "other.test", TWO)

    added = list(overlaps([wide, exact, apart], PLATFORMS["union"]))
    unknown = list(overlaps([wide, exact, apart], PLATFORMS["unknown, by role"]))

    assert {("a", Effect.LETS_THROUGH), ("b", Effect.LETS_THROUGH)} == {
        (loss.subject, loss.effect) for loss in added
    }
    assert 4 == len(unknown)
