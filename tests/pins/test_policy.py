from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import (
    BREAK_GLASS_LIMIT,
    OnStale,
    Policy,
    Unlisted,
    break_glass_problems,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEY = Pin.of_spki(b"a key")


def pin_set(name: str, *hosts: str, until: datetime | None = None) -> PinSet:
    """Return a report-only set with one pin."""
    return PinSet(
        name=name,
        hosts=tuple(HostPattern.parse(host) for host in hosts),
        mode=Mode.REPORT_ONLY,
        leaf=(KEY,),
        report_only_until=until,
    )


def problems_of(**fields: Any) -> list[str]:  # noqa: ANN401
    """Return the problems of a policy that cannot be made."""
    with pytest.raises(PolicyError) as caught:
        Policy(unlisted=Unlisted.ALLOW, **fields)
    return [f"{problem.place}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.example.com", "exact"),
        ("www.example.com", "one-label"),
        ("example.com", "any-depth"),
        ("a.b.example.com", "any-depth"),
        ("deep.api.example.com", "deeper"),
        ("api.example.org", None),
        ("com", None),
        ("notexample.com", None),
        ("10.0.0.1", "address"),
        ("10.0.0.2", None),
    ],
)
def test_the_most_specific_pattern_wins(host: str, name: str | None) -> None:
    """Exact before wildcard, longer suffix before shorter, one label before any depth; no union."""
    policy = Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=(
            pin_set("any-depth", "**.example.com"),
            pin_set("one-label", "*.example.com"),
            pin_set("deeper", "*.api.example.com"),
            pin_set("exact", "api.example.com"),
            pin_set("address", "10.0.0.1"),
        ),
    )
    found = policy.pin_set_for(host)

    assert name == (found.name if found else None)


def test_a_policy_without_sets_covers_nothing() -> None:
    """An empty policy is sound: what happens then is what `unlisted` says."""
    assert Policy(unlisted=Unlisted.REFUSE).pin_set_for("example.com") is None


def test_a_policy_is_a_source_of_itself() -> None:
    """`current` of a policy is that policy, always."""
    policy = Policy(unlisted=Unlisted.ALLOW)

    assert policy is policy.current()


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        (["a.example"], ["b.example", "A.example."], "pin_set.two.hosts[1]"),
        (["**.a.example"], ["**.a.example"], "pin_set.two.hosts[0]"),
        (["10.0.0.1"], ["::ffff:10.0.0.1"], "pin_set.two.hosts[0]"),
        (["a.example", "a.example"], ["b.example"], "pin_set.one.hosts[1]"),
    ],
)
def test_a_pattern_stands_in_one_place(first: list[str], second: list[str], place: str) -> None:
    """The same pattern twice, in whatever spelling, is told with the place of the second."""
    problems = problems_of(pin_sets=(pin_set("one", *first), pin_set("two", *second)))

    assert [place] == [problem.partition(": ")[0] for problem in problems]
    assert "stands in pin_set.one already" in problems[0]


def test_patterns_that_differ_in_reach_are_different() -> None:
    """An exact host and wildcards at the same name may belong to three sets."""
    names = "a.example", "*.a.example", "**.a.example"
    sets = tuple(pin_set(f"set-{index}", name) for index, name in enumerate(names))

    assert sets == Policy(unlisted=Unlisted.ALLOW, pin_sets=sets).pin_sets


def test_names_denied_keys_and_patterns_are_told_together() -> None:
    """Every rule between sets is checked before the policy is refused."""
    problems = problems_of(
        pin_sets=(pin_set("one", "a.example"), pin_set("one", "a.example")),
        denied=(KEY, Pin.of_certificate(b"a certificate"), KEY),
    )

    assert [
        "holdfast.denied[1]: only a key can be denied",
        f"holdfast.denied[2]: {KEY} is denied twice",
        "pin_set.one: there are two sets of this name",
        "pin_set.one.hosts[0]: a.example stands in pin_set.one already",
    ] == problems


@pytest.mark.parametrize(
    "fields",
    [
        {"unlisted": "refuse"},
        {"unlisted": Unlisted.ALLOW, "on_stale": "refuse"},
        {"unlisted": Unlisted.ALLOW, "pin_sets": []},
        {"unlisted": Unlisted.ALLOW, "denied": []},
    ],
)
def test_other_types_are_refused(fields: dict[str, Any]) -> None:
    """`unlisted="refuse"` as text would allow every host, since it is not that member."""
    with pytest.raises(TypeError):
        Policy(**fields)


def test_equal_content_makes_equal_policies() -> None:
    """Policies compare by what they say, so that a reload can keep the old object."""
    one, two, other = (
        Policy(unlisted=Unlisted.ALLOW, pin_sets=(pin_set("one", host),), on_stale=OnStale.REFUSE)
        for host in ("a.example", "a.example", "b.example")
    )

    assert one == two
    assert one != other


@pytest.mark.parametrize(
    ("until", "count"),
    [
        (None, 0),
        (NOW - timedelta(days=30), 0),
        (NOW + BREAK_GLASS_LIMIT, 0),
        (NOW + BREAK_GLASS_LIMIT + timedelta(seconds=1), 1),
        (datetime.max.replace(tzinfo=UTC), 1),
    ],
)
def test_break_glass_ends_within_days(until: datetime | None, count: int) -> None:
    """Break-glass further ahead than seven days is a problem of the set; past or near is none."""
    problems = break_glass_problems((pin_set("one", "a.example", until=until),), NOW)

    assert ["pin_set.one.report_only_until"] * count == [problem.place for problem in problems]


def clients(name: str, *texts: str) -> PinSet:
    """Return a set that names these clients."""
    return PinSet(
        name=name,
        hosts=(),
        clients=tuple(map(ClientIdentity, texts)),
        mode=Mode.REPORT_ONLY,
        leaf=(KEY,),
    )


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("spiffe://example.org/payments", "payments"),
        ("spiffe://example.org/payments/mysql", "domain"),
        ("spiffe://example.org/web", "domain"),
        ("spiffe://other.example/payments", None),
        ("partner.example", "partner"),
        ("example.org", None),
    ],
)
def test_the_most_specific_client_wins(client: str, name: str | None) -> None:
    """A set with the very identity goes before the one with its whole trust domain."""
    policy = Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=(
            clients("domain", "spiffe://example.org"),
            clients("payments", "spiffe://example.org/payments"),
            clients("partner", "partner.example"),
        ),
    )
    found = policy.pin_set_for_client(ClientIdentity(client))

    assert name == (found.name if found else None)


@pytest.mark.parametrize(
    ("sets", "place"),
    [
        (("a.example", "A.example."), "pin_set.first.clients[1]"),
        (("spiffe://a/b",), "pin_set.second.clients[0]"),
    ],
)
def test_a_client_stands_in_one_place(sets: tuple[str, ...], place: str) -> None:
    """Who a client is cannot depend on the order of the sets."""
    problems = problems_of(pin_sets=(clients("first", *sets), clients("second", "spiffe://a/b")))

    assert [f"{place}: {sets[-1].lower().rstrip('.')} stands in pin_set.first already"] == problems
