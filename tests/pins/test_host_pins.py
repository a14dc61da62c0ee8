from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from holdfast.errors import CacheError, HoldfastError, PolicyError, Problem
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.host_pins import MOST_PINS, HostPins, read_host_pins, write_host_pins
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted

ONE, TWO, THREE, FOUR = (Pin.of_spki(name) for name in (b"one", b"two", b"three", b"four"))
OWN = HostPins(leaf=(THREE,), backup=(FOUR,))
HOST = "a.example.com"
SET = PinSet(
    name="many",
    hosts=(HostPattern.parse("**.example.com"),),
    mode=Mode.ENFORCE,
    leaf=(ONE,),
    backup=(TWO,),
    owner="somebody",
)


class UnreadableHostPins(Mapping[str, HostPins]):
    """Has an entry for each host, and cannot read it."""

    def __getitem__(self, host: str) -> HostPins:
        """Fail."""
        raise CacheError(f"a damaged entry: {host}")

    def __iter__(self) -> Iterator[str]:
        """Fail."""
        raise CacheError("a damaged file")

    def __len__(self) -> int:
        """Return a number."""
        return 1


def policy(host_pins: Mapping[str, HostPins], **fields: Any) -> Policy:  # noqa: ANN401
    """Return a policy of the set, with these fields, and pins of hosts."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=(replace(SET, **fields),), host_pins=host_pins)


def test_a_host_has_its_own_pins_and_the_rest_of_its_set() -> None:
    """Nothing but the pins is exchanged, and for no other host."""
    made = policy({HOST: OWN})

    own = made.pin_set_for(HOST)

    assert replace(SET, leaf=(THREE,), backup=(FOUR,)) == own
    assert own is made.pin_set_for(HOST)
    assert made.pin_sets[0] is made.pin_set_for("b.example.com")


def test_an_uncovered_host_stays_unlisted() -> None:
    """Pins of a host do not list it: whoever signs them could otherwise change what is refused."""
    assert policy({"a.example.org": OWN}).pin_set_for("a.example.org") is None


def test_policies_with_other_host_pins_differ() -> None:
    """An update that changes nothing else is an update; a dictionary that changes is none."""
    given = {HOST: OWN}
    made = policy(given)
    given[HOST] = HostPins(leaf=(ONE,), backup=(FOUR,))

    assert policy({HOST: OWN}) == made
    assert hash(policy({HOST: OWN})) == hash(made)
    assert policy(given) != made
    assert policy({}) == policy({}) != made


def test_memory_of_hosts_is_bounded() -> None:
    """A process that meets a million hosts keeps a thousand rules at most, and all are right."""
    hosts = [f"h{number}.example.com" for number in range(3000)]
    made = policy(dict.fromkeys(hosts, OWN))

    for host in hosts:
        found = made.pin_set_for(host)
        assert found is not None
        assert (THREE,) == found.leaf
        assert found is made.pin_set_for(host)
    assert 1024 == len(made._with_host_pins)


def test_what_cannot_be_read_is_no_absence() -> None:
    """The look-up fails; it never falls back to the pins of the set."""
    made = policy(UnreadableHostPins())

    with pytest.raises(HoldfastError, match="damaged entry"):
        made.pin_set_for(HOST)
    assert made.pin_set_for("example.org") is None


@pytest.mark.parametrize(
    ("entry", "fields", "told"),
    [
        ({HOST: HostPins(leaf=(ONE,))}, {}, "a way out"),
        ({HOST: HostPins(ca=(ONE, TWO))}, {"trust": Trust.PINS_ONLY}, "cannot check"),
        (
            {HOST: OWN},
            {"require": Require.LEAF_AND_CA, "ca": (THREE, FOUR), "mode": Mode.REPORT_ONLY},
            "leaf-and-ca needs leaf and CA pins",
        ),
        ({"A.example.com": OWN}, {}, "not in its canonical form; write a.example.com"),
        ({"a b": OWN}, {}, "'a b': 'a b' is not a host name"),
    ],
)
def test_the_rules_of_the_set_hold(
    entry: dict[str, HostPins], fields: dict[str, Any], told: str
) -> None:
    """Pins that such a set could not have are an error when the policy is made."""
    with pytest.raises(PolicyError) as caught:
        policy(entry, **fields)

    (problem,) = caught.value.problems
    assert told in str(problem)
    assert problem.place.startswith(f"host_pins.{next(iter(entry))!a}")


@pytest.mark.parametrize("given", [{HOST: (ONE, TWO)}, {1: OWN}, [OWN], None])
def test_other_types_are_refused(given: Any) -> None:  # noqa: ANN401
    """What is no mapping of hosts to their pins cannot be looked up in."""
    with pytest.raises(TypeError):
        policy(given)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no pins"),
        ({"leaf": (ONE, ONE)}, "leaf[1]: sha256"),
        ({"leaf": (ONE,), "ca": (ONE,)}, "stands in leaf[0] already"),
        ({"ca": tuple(Pin.of_spki(bytes([n])) for n in range(MOST_PINS + 1))}, "at most 32"),
    ],
)
def test_an_entry_without_a_set_has_rules_too(fields: dict[str, Any], told: str) -> None:
    """No pins, too many, and one that stands twice are errors wherever the host may be."""
    with pytest.raises(PolicyError) as caught:
        HostPins(**fields)

    assert told in str(caught.value)


@pytest.mark.parametrize("leaf", [[ONE], ("sha256/",), ONE])
def test_entries_are_tuples_of_pins(leaf: Any) -> None:  # noqa: ANN401
    """A list could change later, and text is no pin."""
    with pytest.raises(TypeError):
        HostPins(leaf=leaf)


@pytest.mark.parametrize("pins", [OWN, HostPins(ca=(ONE, TWO)), HostPins(leaf=(ONE,), ca=(TWO,))])
def test_what_is_written_is_read(pins: HostPins) -> None:
    """As the same entry, and without a word."""
    problems: list[Problem] = []

    assert pins == read_host_pins(write_host_pins(pins), "", problems)
    assert [] == problems


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ["p: this takes a table"]),
        ([], ["p: this takes a table"]),
        ({}, ["p: the host has no pins"]),
        ({"leaf": []}, ["p.leaf: the list is empty"]),
        ({"leaf": str(ONE)}, ["p.leaf: this takes a list"]),
        ({"leaf": [1, "sha256/x"]}, ["p.leaf[0]: this takes text", "p.leaf[1]: 'sha256/x'"]),
        ({"leaf": [str(ONE)] * 2}, ["p.leaf[1]: sha256/"]),
        ({"leaf": ["x"] * 33}, ["p.leaf: it has 33 pins"]),
        ({"leaf": [str(ONE)], "mode": "report-only"}, ["p.mode: the key is not known"]),
        ({str(number): [] for number in range(100)}, ["p: it has too many keys"]),
    ],
)
def test_what_cannot_be_read_is_told(value: object, told: list[str]) -> None:
    """Each mistake with its place; a key that is no list of pins is never passed over."""
    problems: list[Problem] = []

    assert read_host_pins(value, "p", problems) is None
    assert len(told) == len(problems)
    for start, problem in zip(told, problems, strict=True):
        assert str(problem).startswith(start)
