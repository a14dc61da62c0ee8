from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Trust
from holdfast.pins.policy import OnStale, Policy, Unlisted
from holdfast.updates.accept import remembered
from holdfast.updates.cache import Cache
from holdfast.updates.client import HARD_LIMIT, UpdateClient
from holdfast.updates.document import (
    BreakGlass,
    Bundle,
    DenyList,
    break_glass_to_bytes,
    bundle_to_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import State
from holdfast.updates.seed import Seed
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW, SignedRepository

OLD, NEW, NEXT, STOLEN = (Pin.of_spki(key) for key in (b"old", b"new", b"next", b"stolen"))
DAY = timedelta(days=1)


def policy(*leaf: Pin, **fields: object) -> Policy:
    """Return a policy for one host, with these leaf pins and a backup."""
    pin_set = PinSet(
        name="api",
        hosts=(HostPattern.parse("api.example.com"),),
        mode=Mode.ENFORCE,
        leaf=leaf or (OLD,),
        backup=(NEXT,),
    )
    return Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=(replace(pin_set, **fields),),  # type: ignore[arg-type]  # as the tests give them
    )


def bundle(serial: int, content: Policy) -> bytes:
    """Return a bundle as it is published."""
    return bundle_to_bytes(
        Bundle(serial=serial, issued=NOW, refresh=timedelta(minutes=15), policy=content)
    )


SEED = Seed(policy(), epoch=1, serial=1)


class Clock:
    """A clock that is set by hand."""

    now = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def _state(client: UpdateClient) -> State:
    return client.state


@pytest.fixture
def clock() -> Clock:
    """The client's clock."""
    return Clock()


@pytest.fixture
def repository() -> SignedRepository:
    """A repository whose first bundle says what the seed says."""
    made = SignedRepository()
    made.put("emergency", deny_list_to_bytes(DenyList(serial=1)))
    made.publish(bundle(1, policy()), roles=["emergency"])
    return made


Start = Callable[..., UpdateClient]


@pytest.fixture
def start(tmp_path: Path, repository: SignedRepository, origin: Origin, clock: Clock) -> Start:
    """Return a function that starts a client, always with the same cache."""

    def make(seed: Seed | None = SEED, *, allow_weakening: bool = False) -> UpdateClient:
        return UpdateClient(
            [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
            root=repository.root_bytes,
            cache=Cache(tmp_path / "cache"),
            seed=seed,
            allow_weakening=allow_weakening,
            clock=clock,
        )

    return make


def _publish_policy(repository: SignedRepository, content: Policy, serial: int = 1) -> None:
    repository.put("targets", bundle(serial, content))
    repository.bump("targets")


def test_the_seed_is_in_force_until_an_update_comes(start: Start) -> None:
    """A first start asks nobody, and a refresh makes fresh what is the same."""
    client = start()
    assert (State.SEED, SEED.policy) == (client.state, client.current())

    assert client.refresh().succeeded

    assert State.FRESH is _state(client)
    assert client.current() is SEED.policy


def test_new_pins_come_into_force_and_outlast_a_restart(
    repository: SignedRepository, origin: Origin, start: Start
) -> None:
    """They are taken from the cache without the origin."""
    client = start()
    repository.publish(bundle(2, policy(OLD, NEW)))
    assert client.refresh().succeeded
    origin.files = {}
    again = start()

    assert [policy(OLD, NEW)] * 2 == [client.current(), again.current()]
    assert (1, 2) == (again.in_force.epoch, again.in_force.serial)
    assert State.FRESH is _state(again)
    assert not again.refresh().succeeded
    assert policy(OLD, NEW) == again.current()


def test_an_older_bundle_is_refused(repository: SignedRepository, start: Start) -> None:
    """Who holds the online keys cannot bring old pins back, not even to an emptied cache."""
    client = start()
    repository.publish(bundle(5, policy(NEW)))
    assert client.refresh().succeeded
    repository.publish(bundle(4, policy(OLD)))

    refused = client.refresh()

    assert "older" in refused.reason
    assert policy(NEW) == client.current()
    assert policy(NEW) == start().current()


def test_the_seed_is_a_floor(repository: SignedRepository, start: Start) -> None:
    """A client that has just been installed does not accept what is older than its build."""
    repository.publish(bundle(2, policy(OLD)))
    client = start(Seed(policy(NEW), epoch=1, serial=3))

    assert "older" in client.refresh().reason
    assert policy(NEW) == client.current()


def test_a_higher_epoch_begins_anew(repository: SignedRepository, start: Start) -> None:
    """A serial of 2^63 - 1 by a thief is not the end: the offline keys begin a new count."""
    client = start()
    repository.publish(bundle(2**63 - 1, policy(STOLEN)))
    assert client.refresh().succeeded
    repository.publish(bundle(1, policy(NEW)))
    assert not client.refresh().succeeded

    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.publish(bundle(1, policy(NEW)), roles=["targets"])

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()
    assert (2, 1) == (client.in_force.epoch, client.in_force.serial)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (policy(mode=Mode.REPORT_ONLY), "mode"),
        (policy(trust=Trust.PINS_ONLY), "trust"),
        (replace(policy(), unlisted=Unlisted.REFUSE), "unlisted"),
        (replace(policy(), pin_sets=()), "dropped"),
        (policy(hosts=(HostPattern.parse("other.example.com"),)), "hosts"),
    ],
    ids=["report-only", "pins-only", "unlisted", "dropped", "hosts"],
)
def test_the_pins_role_changes_pins_only(
    repository: SignedRepository, start: Start, changed: Policy, told: str
) -> None:
    """One stolen online key switches nothing off; the refusal says what it tried."""
    client = start()
    repository.publish(bundle(2, changed))

    refused = client.refresh()

    assert told in refused.reason
    assert SEED.policy == client.current()


def test_the_offline_keys_may_strengthen(repository: SignedRepository, start: Start) -> None:
    """What they sign becomes the measure for the pins role."""
    client = start()
    strict = replace(policy(), unlisted=Unlisted.REFUSE)
    _publish_policy(repository, strict)
    repository.publish(bundle(2, replace(policy(NEW), unlisted=Unlisted.REFUSE)))

    assert client.refresh().succeeded
    assert Unlisted.REFUSE is client.current().unlisted


def test_a_weakening_needs_the_clients_leave(repository: SignedRepository, start: Start) -> None:
    """The offline threshold alone is not enough."""
    looser = policy(mode=Mode.REPORT_ONLY)
    _publish_policy(repository, looser)
    repository.publish(bundle(2, looser))

    refused = start().refresh()
    allowing = start(allow_weakening=True)

    assert "weakens" in refused.reason
    assert allowing.refresh().succeeded
    assert looser == allowing.current()


def test_without_a_seed_nothing_counts_before_the_offline_keys_speak(
    repository: SignedRepository, start: Start
) -> None:
    """There would be nothing that the bundle of an online key could be measured by."""
    client = start(None)
    assert State.EMPTY is _state(client)
    with pytest.raises(UpdateError, match="seed"):
        client.current()
    assert "measure" in client.refresh().reason

    _publish_policy(repository, policy())
    repository.publish(bundle(2, policy(NEW)))

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()


def test_a_denial_outlasts_its_file(
    repository: SignedRepository, start: Start, tmp_path: Path
) -> None:
    """Until a higher epoch, whatever the emergency role says afterwards, and over the seed too."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3)))
    repository.publish(bundle(3, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    assert (OLD,) == client.current().denied

    (tmp_path / "cache" / "current").unlink()
    for file in (tmp_path / "cache" / "gen").rglob("*.json"):
        file.unlink()
    assert (OLD,) == start().current().denied

    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.publish(bundle(1, policy(OLD, NEW)), roles=["targets"])
    assert client.refresh().succeeded
    assert () == client.current().denied


def test_the_emergency_role_alone_locks_nobody_out(
    repository: SignedRepository, start: Start
) -> None:
    """A list that leaves nothing of a set is not applied; it is said, and nothing is fresh."""
    client = start()
    all_of_it = frozenset({OLD, NEXT})
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=all_of_it)))
    repository.publish(bundle(2, policy()), roles=["emergency"])

    assert client.refresh().succeeded
    assert () == client.current().denied
    assert State.STALE is _state(client)
    assert any("api" in note for note in client.in_force.notes)


def test_a_withheld_emergency_file_is_an_alarm(
    repository: SignedRepository, origin: Origin, start: Start
) -> None:
    """Pins are updated, and nothing is fresh: otherwise one withheld file would hide a denial."""
    client = start()
    repository.publish(bundle(2, policy(NEW)))
    for path in [path for path in origin.files if "deny.json" in path or "emergency" in path]:
        del origin.files[path]

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()
    assert State.STALE is _state(client)


def test_a_new_epoch_lifts_nothing_while_its_deny_list_is_withheld(
    repository: SignedRepository, origin: Origin, start: Start
) -> None:
    """What a client remembers holds until the list is there, and is gone then."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3)))
    repository.publish(bundle(1, policy(NEW)), roles=["targets", "emergency"])
    served, origin.files = origin.files, dict(origin.files)
    for path in [path for path in origin.files if "deny.json" in path or "emergency" in path]:
        del origin.files[path]

    assert client.refresh().succeeded
    assert ((OLD,), 2) == (client.current().denied, client.in_force.epoch)
    assert (OLD,) == start().current().denied
    assert State.STALE is _state(client)

    origin.files = served
    assert client.refresh().succeeded
    assert () == client.current().denied == start().current().denied


def test_a_new_epoch_keeps_denials_whose_list_is_not_applied(
    repository: SignedRepository, start: Start
) -> None:
    """A list that would leave nothing of a set says nothing about what was denied before."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    all_of_it = frozenset({NEW, NEXT})
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3, denied=all_of_it)))
    repository.publish(bundle(1, policy(NEW)), roles=["targets", "emergency"])

    assert client.refresh().succeeded
    assert (OLD,) == client.current().denied == start().current().denied
    assert State.STALE is _state(client)


def test_break_glass_is_for_a_while(
    repository: SignedRepository, start: Start, clock: Clock
) -> None:
    """A public set is report-only until then, and the set of the policy says until when."""
    client = start()
    until = NOW + DAY
    repository.put("breakglass", break_glass_to_bytes(BreakGlass(serial=1, until={"api": until})))
    repository.publish(bundle(2, policy()), roles=["breakglass"])

    assert client.refresh().succeeded
    assert until == client.current().pin_sets[0].report_only_until


@pytest.mark.parametrize("on_stale", OnStale)
def test_what_happens_to_a_policy_that_grows_old(
    repository: SignedRepository, start: Start, clock: Clock, on_stale: OnStale
) -> None:
    """It is enforced while it is stale; what counts beyond that stands in it."""
    client = start(Seed(replace(policy(), on_stale=on_stale)))
    repository.publish(bundle(2, replace(policy(NEW), on_stale=on_stale)))
    assert client.refresh().succeeded

    clock.now = NOW + 2 * DAY
    assert State.STALE is _state(client)
    assert Mode.ENFORCE is client.current().pin_sets[0].mode

    clock.now = NOW + 2 * DAY + HARD_LIMIT
    assert State.EXPIRED is _state(client)
    if on_stale is OnStale.REFUSE:
        with pytest.raises(UpdateError, match="expired"):
            client.current()
        return
    mode = Mode.ENFORCE if on_stale is OnStale.ENFORCE else Mode.REPORT_ONLY
    assert mode is client.current().pin_sets[0].mode
    assert client.current() is client.current()


def test_a_strict_set_is_enforced_however_old(
    repository: SignedRepository, start: Start, clock: Clock
) -> None:
    """Nothing makes it report-only."""
    rule = replace(policy(strict=True), on_stale=OnStale.REPORT_ONLY)
    client = start(Seed(rule))
    repository.publish(bundle(2, rule))
    assert client.refresh().succeeded
    clock.now = NOW + 2 * DAY + HARD_LIMIT

    assert Mode.ENFORCE is client.current().pin_sets[0].mode


def test_a_timestamp_that_is_signed_again_makes_fresh(
    repository: SignedRepository, start: Start, clock: Clock
) -> None:
    """Nothing else has changed, and the policy stays the same object."""
    client = start()
    assert client.refresh().succeeded
    before = client.current()
    clock.now = repository.now = NOW + 2 * DAY
    assert State.STALE is _state(client)
    repository.publish_top()

    assert client.refresh().succeeded
    assert State.FRESH is _state(client)
    assert before is client.current()


def test_a_key_that_another_process_denied_counts_at_the_next_refresh(
    start: Start, tmp_path: Path
) -> None:
    """What is kept is read each time, also where the origin says nothing new."""
    client = start()
    assert client.refresh().succeeded
    with Cache(tmp_path / "cache").refreshing() as work:
        work.deny(remembered(1, [STOLEN]))

    assert client.refresh().succeeded
    assert (STOLEN,) == client.current().denied


def test_a_clock_that_is_set_back_makes_nothing_fresh(start: Start, clock: Clock) -> None:
    """The time never runs behind that of the last accepted timestamp."""
    clock.now = NOW + DAY / 2
    client = start()
    assert client.refresh().succeeded
    clock.now = NOW + 3 * DAY
    assert State.STALE is _state(client)
    clock.now = NOW - 300 * DAY

    assert State.FRESH is _state(client)  # as of the floor, and no earlier
    assert State.FRESH is _state(start())


def test_a_format_of_a_newer_release_keeps_the_last_good(
    repository: SignedRepository, start: Start
) -> None:
    """The refusal says that an upgrade is needed, and nothing is lost."""
    client = start()
    repository.publish(
        bundle(2, policy(NEW)).replace(b'"format":1,"issued"', b'"format":2,"issued"')
    )

    assert "newer Holdfast" in client.refresh().reason
    assert SEED.policy == client.current()


def test_an_unusable_cache_leaves_the_seed(
    repository: SignedRepository, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said at the start, and a refresh says why nothing can be kept."""
    (tmp_path / "cache").write_text("a file")
    client = start()

    assert SEED.policy == client.current()
    assert "the cache cannot be used" in caplog.text
    assert not client.refresh().succeeded


def test_a_set_for_one_key_is_a_mistake(repository: SignedRepository, start: Start) -> None:
    """A bundle that would lock everybody out with one lost key is refused as a whole."""
    client = start()
    alone = policy(NEW, backup=(), single_pin=ACCEPT_LOCK_OUT)
    text = bundle(2, alone).replace(b',"single_pin":"I accept lock-out"', b"")
    repository.publish(text)

    assert "backup" in client.refresh().reason
    assert SEED.policy == client.current()
