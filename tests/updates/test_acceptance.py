from dataclasses import replace

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.freshness import State
from holdfast.updates.seed import Seed
from tests.updates.seeded import (
    NEW,
    OLD,
    SEED,
    STOLEN,
    Start,
    bundle,
    policy,
    publish_policy,
    state_of,
)
from tests.updates.signed_repository import SignedRepository


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
    publish_policy(repository, strict)
    repository.publish(bundle(2, replace(policy(NEW), unlisted=Unlisted.REFUSE)))

    assert client.refresh().succeeded
    assert Unlisted.REFUSE is client.current().unlisted


def test_a_weakening_needs_the_clients_leave(repository: SignedRepository, start: Start) -> None:
    """The offline threshold alone is not enough."""
    looser = policy(mode=Mode.REPORT_ONLY)
    publish_policy(repository, looser)
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
    assert State.EMPTY is state_of(client)
    with pytest.raises(UpdateError, match="seed"):
        client.current()
    assert "measure" in client.refresh().reason

    publish_policy(repository, policy())
    repository.publish(bundle(2, policy(NEW)))

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()


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


def test_a_set_for_one_key_is_a_mistake(repository: SignedRepository, start: Start) -> None:
    """A bundle that would lock everybody out with one lost key is refused as a whole."""
    client = start()
    alone = policy(NEW, backup=(), single_pin=ACCEPT_LOCK_OUT)
    text = bundle(2, alone).replace(b',"single_pin":"I accept lock-out"', b"")
    repository.publish(text)

    assert "backup" in client.refresh().reason
    assert SEED.policy == client.current()
