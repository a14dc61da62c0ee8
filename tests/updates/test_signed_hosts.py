"""The pins of single hosts at a client: what it fetches, keeps, and does without."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, TargetFile, Targets

from holdfast.pins.host_pins import MOST_PINS, HostPins, write_host_pins
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Trust
from holdfast.updates import signed_hosts
from holdfast.updates.client import UpdateClient
from holdfast.updates.freshness import State
from holdfast.updates.host_bins import HOSTS_FIELD, INDEX_TARGET
from holdfast.updates.repository import Repository
from tests.updates.host_repository import (
    HOUR,
    OF_THE_SET,
    ONLINE,
    SET,
    HostRepository,
    host,
    pins,
    policy_of,
    rule,
)
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW

A, B = host(1), host(2)
MANY = {host(number): pins(f"first {number}") for number in range(1200)}
YEAR = timedelta(days=366)


@pytest.fixture
def repository(tmp_path: Path, serve: Callable[..., Origin]) -> HostRepository:
    """A repository with pins for 1,200 hosts in eight bins."""
    made = HostRepository(tmp_path / "repository", serve({}))
    made.publish(MANY)
    assert made.role_of(A) != made.role_of(B)
    return made


Start = Callable[..., UpdateClient]


@pytest.fixture
def start(repository: HostRepository, tmp_path: Path) -> Start:
    """Return a function that starts a client, always with the same cache."""

    def make(*hosts: str, **settings: bool | tuple[Origin, ...] | timedelta) -> UpdateClient:
        return repository.client(tmp_path / "cache", *hosts, **settings)  # type: ignore[arg-type]

    return make


def _state(client: UpdateClient) -> State:
    return client.state


def test_a_client_fetches_the_bins_of_its_hosts(repository: HostRepository, start: Start) -> None:
    """They have their own pins, others those of the set, and no other bin was asked for."""
    client = start(A, B)
    assert client.refresh().succeeded

    asked = {path for path in repository.origin.requests if "hosts-" in path}
    assert {f"metadata/1.{repository.role_of(name)}.json" for name in (A, B)} == asked
    assert [MANY[A], MANY[B], OF_THE_SET] == [rule(client, name) for name in (A, B, host(3))]
    assert (State.FRESH, ()) == (_state(client), client.in_force.notes)


def test_without_hosts_nothing_of_them_is_fetched(repository: HostRepository, start: Start) -> None:
    """Neither bins nor the file, and an idle refresh is two requests with or without them."""
    repository.publish(MANY, index=True)
    for hosts in ((), (A, B)):
        client = start(*hosts)
        assert client.refresh().succeeded
        if not hosts:
            assert OF_THE_SET == rule(client, A)
            assert not any("hosts" in path for path in repository.origin.requests)
        repository.origin.requests.clear()
        assert client.refresh().succeeded
        assert 2 == len(repository.origin.requests)


def test_host_pins_outlast_a_restart_without_the_origin(
    repository: HostRepository, start: Start
) -> None:
    """They are verified again from the cache."""
    assert start(A).refresh().succeeded
    repository.origin.files = {}

    again = start(A)

    assert MANY[A] == rule(again, A)
    assert (State.FRESH, ()) == (_state(again), again.in_force.notes)


def test_a_damaged_bin_in_the_cache_does_not_count(
    tmp_path: Path, repository: HostRepository, start: Start
) -> None:
    """Whatever was written into it: the pins of the set are in force until it is fetched again."""
    client = start(A)
    assert client.refresh().succeeded
    thief = write_host_pins(pins("thief"))["leaf"][0]
    for path in (tmp_path / "cache" / "gen").rglob(f"{repository.role_of(A)}.json"):
        mine = write_host_pins(MANY[A])["leaf"][0]
        path.write_text(path.read_text().replace(mine, thief))

    again = start(A)
    assert OF_THE_SET == rule(again, A)
    assert State.STALE is _state(again)
    assert again.refresh().succeeded
    assert MANY[A] == rule(again, A)
    assert State.FRESH is _state(again)


def test_new_pins_of_a_host_come_into_force(repository: HostRepository, start: Start) -> None:
    """As a policy that is not equal to the one before, with a serial of its own."""
    client = start(A)
    assert client.refresh().succeeded
    before = client.current(), client.in_force.serial
    repository.publish({A: pins("second")}, changes=True)

    assert client.refresh().succeeded
    assert pins("second") == rule(client, A)
    assert (before[0] != client.current(), before[1] + 1) == (True, client.in_force.serial)


def test_a_change_of_other_hosts_changes_nothing(repository: HostRepository, start: Start) -> None:
    """The policy is the same object: connections need not be judged again."""
    client = start(A)
    assert client.refresh().succeeded
    before = client.current()
    repository.publish({B: pins("second")}, changes=True)

    assert client.refresh().succeeded
    assert before is client.current()


def test_a_host_that_is_removed_has_the_pins_of_its_set(
    repository: HostRepository, start: Start
) -> None:
    """Whoever signs may take an entry back: the set is what remains, and it is fresh."""
    client = start(A)
    assert client.refresh().succeeded
    repository.publish({A: None}, changes=True)

    assert client.refresh().succeeded
    assert OF_THE_SET == rule(client, A)
    assert State.FRESH is _state(client)


def test_a_host_may_be_followed_later(repository: HostRepository, start: Start) -> None:
    """From the next refresh on; another process without it does not lose it."""
    client = start(A)
    assert client.refresh().succeeded
    client.follow([B])
    assert OF_THE_SET == rule(client, B)

    assert client.refresh().succeeded
    assert [MANY[A], MANY[B]] == [rule(client, A), rule(client, B)]
    assert start().refresh().succeeded
    assert [MANY[A], MANY[B]] == [rule(start(A, B), A), rule(start(A, B), B)]


def test_a_host_that_was_not_followed_before_is_told_at_the_start(start: Start) -> None:
    """Without its bin the set's pins are in force, and the state says that something is missing."""
    assert start(A).refresh().succeeded

    again = start(A, B)

    assert OF_THE_SET == rule(again, B)
    assert State.STALE is _state(again)
    assert f"the newest pins of {B} cannot be had" in again.in_force.notes[0]


def _is_kept(client: UpdateClient, start: Start, told: str) -> None:
    """Assert that the first pins of A are in force, also after a restart, and that it is stale."""
    assert client.refresh().succeeded
    for one in (client, start(A)):
        assert MANY[A] == rule(one, A)
        assert State.STALE is _state(one)
        (note,) = one.in_force.notes
        assert f"the newest pins of {A} cannot be had" in note
    assert told in client.in_force.notes[0]


def test_a_withheld_bin_leaves_the_last_good_pins(repository: HostRepository, start: Start) -> None:
    """Who holds one file back gains nothing by it, and all the rest is up to date."""
    client = start(A)
    assert client.refresh().succeeded
    repository.publish({A: pins("second")}, changes=True)
    repository.withhold("2.hosts-")

    _is_kept(client, start, "404")
    assert 3 == client.in_force.serial

    repository.serve()
    assert client.refresh().succeeded
    assert pins("second") == rule(client, A)
    assert State.FRESH is _state(client)


def test_withheld_pins_that_no_longer_fit_hold_nothing_back(
    repository: HostRepository, start: Start
) -> None:
    """When the rules of the set have changed meanwhile, the pins of the set count."""
    authorities = HostPins(ca=(Pin.of_spki(b"one"), Pin.of_spki(b"another")))
    repository.publish({A: authorities}, changes=True)
    client = start(A, B)
    assert client.refresh().succeeded
    assert authorities == rule(client, A)
    repository.publish({A: pins("second")}, changes=True)
    stricter = policy_of(replace(SET, trust=Trust.PINS_ONLY))
    repository.publisher().publish(stricter, refresh=HOUR, rules=True)
    repository.serve()
    repository.withhold(f"3.{repository.role_of(A)}.json")

    for one in (client, start(A, B)):
        assert one.refresh().succeeded
        assert [OF_THE_SET, MANY[B]] == [rule(one, A), rule(one, B)]
        assert (State.STALE, stricter.pin_sets) == (_state(one), one.current().pin_sets)


def test_a_bin_that_is_withheld_from_the_start_leaves_the_set(
    repository: HostRepository, start: Start
) -> None:
    """The host is not without pins."""
    repository.withhold("hosts-")
    client = start(A, B, host(3), host(4))

    assert client.refresh().succeeded
    assert OF_THE_SET == rule(client, A)
    assert State.STALE is _state(client)
    assert "and 1 more cannot be had" in client.in_force.notes[0]


def test_a_bin_that_cannot_be_had_is_asked_for_once(
    repository: HostRepository, start: Start
) -> None:
    """However many hosts of it are followed."""
    role = repository.role_of(A)
    hosts = [name for name in MANY if repository.role_of(name) == role][:20]
    repository.withhold("hosts-")
    client = start(*hosts)
    assert client.refresh().succeeded

    assert [f"metadata/1.{role}.json"] == [
        path for path in repository.origin.requests if "hosts-" in path
    ]
    assert "and 17 more cannot be had" in client.in_force.notes[0]


def test_slow_bins_hold_nothing_back_for_long(
    repository: HostRepository, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When their time is over the rest comes into force, and the next refresh goes on."""
    client = start(A, B)
    with monkeypatch.context() as patched:
        patched.setattr(signed_hosts, "_MOST_TIME", -1.0)
        assert client.refresh().succeeded
    assert not any("hosts-" in path for path in repository.origin.requests)
    assert (2, State.STALE) == (client.in_force.serial, _state(client))
    assert "took more than" in client.in_force.notes[0]

    assert client.refresh().succeeded
    assert [MANY[A], MANY[B]] == [rule(client, A), rule(client, B)]


def test_a_mirror_may_have_it(
    repository: HostRepository, start: Start, serve: Callable[..., Origin]
) -> None:
    """An origin without the bin does not count as long as another one has it."""
    mirror = serve(dict(repository.origin.files))
    repository.withhold("hosts-")
    client = start(A, mirrors=(mirror,))

    assert client.refresh().succeeded
    assert (MANY[A], State.FRESH) == (rule(client, A), _state(client))


def test_the_bin_of_other_hosts_is_no_substitute(repository: HostRepository, start: Start) -> None:
    """Without a key: a bin is served under the name of another, in which the host has no entry."""
    client = start(A)
    assert client.refresh().succeeded
    repository.publish({A: pins("second"), B: pins("second")}, changes=True)
    own, other = (f"metadata/2.{repository.role_of(name)}.json" for name in (A, B))
    repository.origin.files[own] = repository.origin.files[other]

    _is_kept(client, start, "another role")


def test_a_bin_that_another_key_has_signed(repository: HostRepository, start: Start) -> None:
    """Whoever has the online keys alone cannot change the pins of a host."""
    client = start(A)
    assert client.refresh().succeeded
    thief: list[Signer] = [CryptoSigner.generate_ed25519()]
    repository.forge(
        repository.role_of(A),
        lambda signed: signed.unrecognized_fields[HOSTS_FIELD].clear(),
        thief,
    )

    _is_kept(client, start, "signed by 0/1 keys")


def test_an_expired_bin(repository: HostRepository, start: Start) -> None:
    """What has run out when it comes is not taken, and what was there before is kept."""
    client = start(A)
    assert client.refresh().succeeded

    def expire(signed: Targets) -> None:
        signed.expires = NOW - timedelta(days=1)
        signed.unrecognized_fields[HOSTS_FIELD].clear()

    repository.forge(repository.role_of(A), expire)

    _is_kept(client, start, "expired")


def test_a_bin_that_expires_in_the_cache(repository: HostRepository, start: Start) -> None:
    """It stays in force, and it is said that it is old."""
    assert start(A).refresh().succeeded
    repository.now += YEAR
    opened = Repository.opened(repository.folder, repository.signers, repository.now)
    opened.write(("root", "targets", "emergency", "breakglass", "pins", *ONLINE))
    repository.serve()

    _is_kept(start(A), start, "expired")


@pytest.mark.parametrize("table", [[], None, 7, "text"])
def test_a_bin_without_a_table(repository: HostRepository, start: Start, table: object) -> None:
    """What is signed and means nothing is like what is not there."""
    client = start(A)
    assert client.refresh().succeeded
    repository.forge(
        repository.role_of(A),
        lambda signed: signed.unrecognized_fields.update({HOSTS_FIELD: table}),
    )

    _is_kept(client, start, "no table")


TOO_MANY = [str(Pin.of_spki(bytes([number]))) for number in range(MOST_PINS + 1)]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ([], "takes a table"),
        (None, "takes a table"),
        ({}, "no pins"),
        ({"leaf": []}, "the list is empty"),
        ({"leaf": ["sha256/"]}, "is not a canonical pin"),
        ({"leaf": TOO_MANY}, "it has 33 pins"),
        ({"leaf": ["x"] * 100_000}, "it has 100000 pins"),
        ({"leaf": TOO_MANY[:1]}, "a way out"),
        ({"ca": TOO_MANY[:1]}, "a way out"),
        ({**write_host_pins(pins("x")), "mode": "report-only"}, "the key is not known"),
        ({**write_host_pins(pins("x")), "trust": "pins-only"}, "the key is not known"),
    ],
    ids=str,
)
def test_an_entry_with_a_mistake_is_refused(
    repository: HostRepository, start: Start, entry: object, told: str
) -> None:
    """The thief of the key of `pins` switches nothing off: what was in force is, and is fresh."""
    client = start(A)
    assert client.refresh().succeeded
    repository.forge(
        repository.role_of(A),
        lambda signed: signed.unrecognized_fields[HOSTS_FIELD].update({A: entry}),
    )

    refused = client.refresh()

    assert told in refused.reason
    assert [MANY[A]] * 2 == [rule(client, A), rule(start(A), A)]


def test_an_entry_in_the_wrong_bin_does_not_count(repository: HostRepository, start: Start) -> None:
    """A host is looked for in its own bin only."""
    client = start(A, B)
    repository.publish({A: None}, changes=True)
    repository.forge(
        repository.role_of(B),
        lambda signed: signed.unrecognized_fields[HOSTS_FIELD].update(
            {A: write_host_pins(pins("thief"))}
        ),
    )

    assert client.refresh().succeeded
    assert [OF_THE_SET, MANY[B]] == [rule(client, A), rule(client, B)]


def test_an_entry_for_a_host_that_no_set_covers(repository: HostRepository, start: Start) -> None:
    """It does not list the host: that would be more than pins."""
    stranger = "a.example.org"
    repository.forge(
        repository.role_of(stranger),
        lambda signed: signed.unrecognized_fields[HOSTS_FIELD].update(
            {stranger: write_host_pins(pins("thief"))}
        ),
    )
    client = start(stranger)

    assert client.refresh().succeeded
    assert rule(client, stranger) is None
    assert State.FRESH is _state(client)


def test_rollback_of_a_bin(repository: HostRepository, start: Start) -> None:
    """Whoever has the online keys cannot bring back older pins of a host."""
    client = start(A)
    repository.publish({A: pins("second")}, changes=True)
    assert client.refresh().succeeded
    opened = Repository.opened(repository.folder, repository.signers, repository.now)
    opened.signed("snapshot").meta[f"{repository.role_of(A)}.json"] = MetaFile(1)
    opened.write(ONLINE)
    repository.serve()

    refused = client.refresh()

    assert f"{repository.role_of(A)}.json version" in refused.reason
    assert [pins("second")] * 2 == [rule(client, A), rule(start(A), A)]


def test_a_bin_that_vanishes_from_the_snapshot(repository: HostRepository, start: Start) -> None:
    """Whoever has the online keys cannot make a client forget a bin."""
    client = start(A)
    assert client.refresh().succeeded
    opened = Repository.opened(repository.folder, repository.signers, repository.now)
    del opened.signed("snapshot").meta[f"{repository.role_of(A)}.json"]
    opened.write(ONLINE)
    repository.serve()

    assert "missing info" in client.refresh().reason
    assert MANY[A] == rule(client, A)


def test_pins_that_one_origin_withholds_come_without_a_bin_from_another(
    repository: HostRepository, start: Start, serve: Callable[..., Origin]
) -> None:
    """What is missing of single hosts holds nothing else back, whatever another origin lacks."""
    repository.publisher().deny([Pin.of_spki(b"stolen")])
    repository.serve()
    mirror = serve(
        {name: data for name, data in repository.origin.files.items() if "hosts-" not in name}
    )
    repository.withhold("bundle.json")
    client = start(A, mirrors=(mirror,))

    assert client.refresh().succeeded
    assert OF_THE_SET == rule(client, A)
    assert (Pin.of_spki(b"stolen"),) == client.current().denied
    assert State.STALE is _state(client)


def test_more_bins(repository: HostRepository, start: Start) -> None:
    """A client follows to bins of other names, and keeps what it has while those are withheld."""
    client = start(A)
    assert client.refresh().succeeded
    before = repository.role_of(A)
    more = {host(number): pins(f"second {number}") for number in range(5000)}
    repository.publish(more)
    assert before != repository.role_of(A)
    repository.withhold(f".{repository.role_of(A)}.json")

    _is_kept(client, start, "404")

    repository.serve()
    assert client.refresh().succeeded
    assert more[A] == rule(client, A)
    assert State.FRESH is _state(client)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda signed: setattr(
                signed,
                "delegations",
                Delegations({}, {"x": DelegatedRole("x", [], 1, True, paths=["pins/*"])}),
            ),
            "something else",
        ),
        (
            lambda signed: signed.targets.update(
                {f"pins/host={A}": TargetFile(0, {"sha256": "0"}, f"pins/host={A}")}
            ),
            "stands before",
        ),
    ],
    ids=["other roles", "a target before the bin"],
)
def test_the_role_pins_stands_before_its_bins(
    repository: HostRepository, start: Start, change: Callable[[Targets], object], told: str
) -> None:
    """A detour leads nowhere; what was in force stays."""
    client = start(A)
    assert client.refresh().succeeded
    repository.forge_pins(change)

    assert client.refresh().succeeded
    assert told in client.in_force.notes[0]
    assert State.STALE is _state(client)
    assert rule(client, A) in {MANY[A], OF_THE_SET}


def test_a_new_key_of_pins_signs_all_bins(repository: HostRepository, start: Start) -> None:
    """A client follows, and what the old key has signed counts no longer."""
    client = start(A)
    assert client.refresh().succeeded
    former = repository.keys["pins"]
    repository.keys["pins"] = [CryptoSigner.generate_ed25519()]
    publisher = repository.publisher()
    publisher.rotate_keys("pins", repository.keys["pins"])
    repository.serve()

    assert client.refresh().succeeded
    assert (MANY[A], State.FRESH) == (rule(client, A), _state(client))
    repository.forge(
        repository.role_of(A),
        lambda signed: signed.unrecognized_fields[HOSTS_FIELD].clear(),
        former,
    )
    _is_kept(client, start, "signed by 0/1 keys")


def test_pins_of_a_stolen_key_are_not_kept(repository: HostRepository, start: Start) -> None:
    """When the key is replaced and the new bin withheld, the old bin does not count either."""
    client = start(A)
    assert client.refresh().succeeded
    repository.keys["pins"] = [CryptoSigner.generate_ed25519()]
    repository.publisher().rotate_keys("pins", repository.keys["pins"])
    repository.serve()
    repository.withhold("hosts-")

    assert client.refresh().succeeded
    assert (OF_THE_SET, State.STALE) == (rule(client, A), _state(client))


def test_host_pins_that_are_no_longer_published(repository: HostRepository, start: Start) -> None:
    """Without a delegation there are none, which is a state like any other."""
    client = start(A)
    assert client.refresh().succeeded
    repository.forge_pins(lambda signed: setattr(signed, "delegations", None))

    assert client.refresh().succeeded
    assert (OF_THE_SET, State.FRESH) == (rule(client, A), _state(client))


def test_the_emergency_role_cannot_lock_a_followed_host_out(
    repository: HostRepository, start: Start
) -> None:
    """One that denies all keys of a host is not applied, as for a set; one of them is."""
    client = start(A)
    repository.publisher().deny(MANY[A].leaf)
    repository.serve()
    assert client.refresh().succeeded
    assert MANY[A].leaf == client.current().denied

    repository.publisher().deny(MANY[A].backup)
    repository.serve()

    assert client.refresh().succeeded
    assert MANY[A].leaf == client.current().denied
    assert f"it leaves nothing to host {A}" in client.in_force.notes[0]


@pytest.fixture
def every(repository: HostRepository, start: Start) -> Callable[[], UpdateClient]:
    """Return a function that starts a client of the file of all hosts, which is published."""
    repository.publish(MANY, index=True)
    return lambda: start(every_host=True)


Every = Callable[[], UpdateClient]


def test_a_gateway_has_the_pins_of_all_hosts(repository: HostRepository, every: Every) -> None:
    """From one file, which an idle refresh and a restart leave where it is, and from no bin."""
    client = every()
    assert client.refresh().succeeded

    assert MANY == {name: rule(client, name) for name in MANY}
    assert OF_THE_SET == rule(client, "other.example.com")
    assert rule(client, "a.example.org") is None
    assert not any("hosts-" in path for path in repository.origin.requests)
    before = client.current()
    repository.origin.requests.clear()
    assert client.refresh().succeeded
    assert 2 == len(repository.origin.requests)
    assert before is client.current()
    repository.origin.files = {}
    again = every()
    assert (MANY[A], State.FRESH) == (rule(again, A), _state(again))
    assert before == again.current()


def test_a_gateway_follows_changes(repository: HostRepository, every: Every) -> None:
    """What was in force can still be asked when the new file has taken its place."""
    client = every()
    assert client.refresh().succeeded
    before = client.current()
    for turn in ("second", "third", "fourth"):
        repository.publish({A: pins(turn), B: None}, changes=True)
        assert client.refresh().succeeded
        assert [pins(turn), OF_THE_SET] == [rule(client, A), rule(client, B)]

    assert before != client.current()
    old = before.pin_set_for(B)
    assert old is not None
    assert MANY[B].leaf == old.leaf


def test_a_withheld_file_leaves_the_last_one(repository: HostRepository, every: Every) -> None:
    """And keeps back neither the rest nor the denied keys; also after a restart."""
    client = every()
    assert client.refresh().succeeded
    stolen = Pin.of_spki(b"stolen")
    repository.publisher().deny([stolen])
    repository.publish({A: pins("second")}, changes=True)
    repository.withhold(".hosts.sqlite")

    assert client.refresh().succeeded
    for one in (client, every()):
        assert (MANY[A], State.STALE) == (rule(one, A), _state(one))
        assert (stolen,) == one.current().denied
        assert INDEX_TARGET in one.in_force.notes[0]

    repository.serve()
    assert client.refresh().succeeded
    assert (pins("second"), State.FRESH) == (rule(client, A), _state(client))


def test_a_file_that_is_not_what_was_signed(
    tmp_path: Path, repository: HostRepository, every: Every
) -> None:
    """Neither one byte more, nor one other byte, nor another file that was signed before."""
    client = every()
    assert client.refresh().succeeded
    (former,) = (
        content for path, content in repository.origin.files.items() if path.endswith("sqlite")
    )
    repository.publish({A: pins("second")}, changes=True)
    path = repository.publisher()._repository.path_of("pins", INDEX_TARGET)
    name = path.relative_to(repository.folder).as_posix()
    right = repository.origin.files[name]
    for wrong in (former, right + b"x", right[:-1], right[:-1] + b"x"):
        repository.origin.files[name] = wrong
        assert client.refresh().succeeded
        assert (MANY[A], State.STALE) == (rule(client, A), _state(client))

    kept = {path.name for path in (tmp_path / "cache" / "work" / "targets").iterdir()}
    assert 2 == sum(".hosts." in one for one in kept)
    assert not any(one.endswith(".part") for one in kept)


def _listed(**fields: object) -> Callable[[Targets], object]:
    return lambda signed: vars(signed.targets[INDEX_TARGET]).update(fields)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_listed(length=2**40), "1099511627776 bytes, of 536870912 at most"),
        (_listed(hashes={"md5": "0" * 32}), "another hash"),
        (_listed(hashes={"sha256": "../" * 20 + "etc"}), "another hash"),
        (lambda signed: signed.targets.pop(INDEX_TARGET), "not in one file"),
    ],
    ids=["too large", "weak", "a path", "bins only"],
)
def test_a_file_that_cannot_be_had(
    repository: HostRepository, every: Every, change: Callable[[Targets], object], told: str
) -> None:
    """It is said, and what was there before stays in force."""
    client = every()
    assert client.refresh().succeeded
    repository.forge_pins(change)

    assert client.refresh().succeeded
    assert told in client.in_force.notes[0]
    assert (MANY[A], State.STALE) == (rule(client, A), _state(client))


def test_a_hostile_file_is_refused(repository: HostRepository, every: Every) -> None:
    """One that was well signed too; what was in force is, after a restart as well."""
    client = every()
    assert client.refresh().succeeded
    opened = Repository.opened(repository.folder, repository.signers, repository.now)
    opened.put("pins", INDEX_TARGET, b"this is no database" * 1000)
    opened.write(("pins", *ONLINE))
    repository.serve()

    assert "no file of host pins" in client.refresh().reason
    assert [MANY[A]] * 2 == [rule(client, A), rule(every(), A)]


def test_a_file_of_a_stolen_key_is_not_kept(repository: HostRepository, every: Every) -> None:
    """When the key has been replaced and the file is withheld, the set's pins are in force."""
    client = every()
    assert client.refresh().succeeded
    repository.keys["pins"] = [CryptoSigner.generate_ed25519()]
    repository.publisher().rotate_keys("pins", repository.keys["pins"])
    repository.publish({A: pins("second")}, changes=True)
    repository.withhold(".hosts.sqlite")

    assert client.refresh().succeeded
    assert (OF_THE_SET, State.STALE) == (rule(client, A), _state(client))


def test_a_repository_without_host_pins(tmp_path: Path, serve: Callable[..., Origin]) -> None:
    """Who follows hosts of one has the sets, and is fresh."""
    bare = HostRepository(tmp_path / "bare", serve({}))
    bare.serve()
    for client in (
        bare.client(tmp_path / "one", A),
        bare.client(tmp_path / "two", every_host=True),
    ):
        assert client.refresh().succeeded
        assert (OF_THE_SET, State.FRESH) == (rule(client, A), _state(client))


def test_an_answer_without_end_ends(repository: HostRepository, every: Every) -> None:
    """A file is not written beyond the length that was signed."""
    client = every()
    path = repository.publisher()._repository.path_of("pins", INDEX_TARGET)
    name = path.relative_to(repository.folder).as_posix()
    repository.origin.answers[name] = repository.origin.drip(b"x" * 100_000, pause=0)

    assert client.refresh().succeeded
    assert "more than" in client.in_force.notes[0]
    assert (OF_THE_SET, State.STALE) == (rule(client, A), _state(client))
