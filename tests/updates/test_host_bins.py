from datetime import timedelta

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles, Targets

from holdfast.errors import UpdateError
from holdfast.updates.host_bins import (
    HOSTS_FIELD,
    MOST_BITS,
    ROLE_FIELD,
    bins_of,
    bits_for,
    is_bin,
    layout,
    path_of,
    table_of,
)
from tests.updates.signed_repository import NOW


@pytest.mark.parametrize(
    ("hosts", "present", "bits"),
    [
        (0, None, 1),
        (1, None, 1),
        (500, None, 1),
        (501, None, 2),
        (1_000, None, 2),
        (1_001, None, 3),
        (1_000_000, None, 12),
        (50_000_000, None, MOST_BITS),
        (1_000, 1, 1),
        (1_001, 1, 3),
        (1, 12, 12),
        (50_000_000, MOST_BITS, MOST_BITS),
    ],
)
def test_bins_have_about_250_hosts(hosts: int, present: int | None, bits: int) -> None:
    """They are never fewer than before, and more only where they are twice as full."""
    assert bits == bits_for(hosts, present)


@pytest.mark.parametrize("bits", range(1, MOST_BITS + 1))
def test_each_name_is_that_of_a_bin(bits: int) -> None:
    """The number of bits stands in it, so that it means the same bin for ever."""
    bins = layout(bits, [], 1)
    names = list(bins.get_roles())

    assert 2**bits == len(names)
    assert all(map(is_bin, (names[0], names[-1])))
    assert bins.get_role_for_target(path_of("a.example.com")) in names
    assert all(name.startswith(f"hosts-{bits}-") for name in names)


@pytest.mark.parametrize("name", ["pins", "hosts", "hosts-0-0", "hosts-15-0", "hosts-1-0/../x"])
def test_other_roles_are_no_bins(name: str) -> None:
    """Nor is what only begins like one."""
    assert not is_bin(name)


def targets(
    delegations: Delegations | None = None, fields: dict[str, object] | None = None
) -> Targets:
    """Return what a role signs."""
    return Targets(
        expires=NOW + timedelta(days=1), delegations=delegations, unrecognized_fields=fields
    )


def test_what_pins_delegates_to() -> None:
    """Bins, or nothing."""
    bins = layout(3, ["key"], 1)

    assert bins_of(targets()) is None
    assert bins == bins_of(targets(Delegations({}, succinct_roles=bins)))


@pytest.mark.parametrize(
    "delegations",
    [
        Delegations({}, {"emergency": DelegatedRole("emergency", [], 1, True, paths=["pins/*"])}),
        Delegations({}, succinct_roles=SuccinctRoles([], 1, 3, "emergency")),
        Delegations({}, succinct_roles=SuccinctRoles([], 1, 3, "hosts-4")),
        Delegations({}, succinct_roles=SuccinctRoles([], 1, 15, "hosts-15")),
    ],
    ids=["a role", "a foreign prefix", "other bits", "too many"],
)
def test_pins_delegates_to_nothing_else(delegations: Delegations) -> None:
    """Its thief could name a role like one of the others."""
    with pytest.raises(UpdateError, match="something else"):
        bins_of(targets(delegations))


def test_a_bin_says_which_it_is() -> None:
    """TUF does not: the name of a role is signed nowhere."""
    table: dict[str, object] = {"a.example.com": {}}
    made = targets(fields={ROLE_FIELD: "hosts-1-0", HOSTS_FIELD: table})

    assert table == table_of(made, "hosts-1-0")
    with pytest.raises(UpdateError, match="another role"):
        table_of(made, "hosts-1-1")
    with pytest.raises(UpdateError, match="no table"):
        table_of(targets(fields={ROLE_FIELD: "hosts-1-0", HOSTS_FIELD: []}), "hosts-1-0")
