from hypothesis import given
from hypothesis import strategies as st

from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.rule_index import RuleIndex
from holdfast.pins.pin import Pin

LABELS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4)
HOSTS = LABELS.map(lambda labels: ".".join([*labels, "test"])) | st.just("10.0.0.1")
KINDS = st.sampled_from([Kinds.APEX, Kinds.ONE_BELOW, Kinds.ONE_LABEL_DOWN, Kinds.ANY_DEPTH])
ENTRIES = st.lists(st.builds(PlatformHost, HOSTS, KINDS), max_size=3).map(tuple)
PIN = Pin.of_spki(b"1")


@given(st.lists(ENTRIES, max_size=6), HOSTS | st.sampled_from(["A.test", "a.test.", "test", ""]))
def test_a_look_up_is_a_search(several: list[tuple[PlatformHost, ...]], host: str) -> None:
    """Through all rules, in their order."""
    rules = [
        Rule(name=str(number), hosts=hosts, anywhere=(PIN,)) for number, hosts in enumerate(several)
    ]
    index = RuleIndex(rules)

    assert [
        (entry, rule) for rule in rules for entry in rule.hosts if entry.covers(host)
    ] == index.covering(host)
    names = {entry.host for rule in rules for entry in rule.hosts}
    above = {name for name in names if host.endswith("." + name)}
    assert above == {entry.host for entry in index.above(host)}


def test_the_work_does_not_grow_with_the_rules() -> None:
    """A rule for another name is not looked at."""
    looked = []

    class Counted(PlatformHost):
        """An entry that tells when it is looked at."""

        __slots__ = ()

        def covers(self, host: str) -> bool:
            """Count."""
            looked.append(host)
            return super().covers(host)

    rules = [Rule(name="x", hosts=(Counted(f"{one}.test"),)) for one in "abcdefghij" * 100]
    assert 100 == len(RuleIndex(rules).covering("a.test"))
    assert 100 == len(looked)
