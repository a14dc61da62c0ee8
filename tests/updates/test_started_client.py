from pathlib import Path

import pytest

from holdfast.updates.freshness import State
from tests.updates.origin import Origin
from tests.updates.seeded import DAY, NEW, OLD, SEED, Clock, Start, bundle, policy, state_of
from tests.updates.signed_repository import NOW, SignedRepository


def test_the_seed_is_in_force_until_an_update_comes(start: Start) -> None:
    """A first start asks nobody, and a refresh makes fresh what is the same."""
    client = start()
    assert (State.SEED, SEED.policy) == (client.state, client.current())

    assert client.refresh().succeeded

    assert State.FRESH is state_of(client)
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
    assert State.FRESH is state_of(again)
    assert not again.refresh().succeeded
    assert policy(OLD, NEW) == again.current()


def test_a_clock_that_is_set_back_makes_nothing_fresh(start: Start, clock: Clock) -> None:
    """The time never runs behind that of the last accepted timestamp."""
    clock.now = NOW + DAY / 2
    client = start()
    assert client.refresh().succeeded
    clock.now = NOW + 3 * DAY
    assert State.STALE is state_of(client)
    clock.now = NOW - 300 * DAY

    assert State.FRESH is state_of(client)  # as of the floor, and no earlier
    assert State.FRESH is state_of(start())


def test_an_unusable_cache_leaves_the_seed(
    repository: SignedRepository, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said at the start, and a refresh says why nothing can be kept."""
    (tmp_path / "cache").write_text("a file")
    client = start()

    assert SEED.policy == client.current()
    assert "the cache cannot be used" in caplog.text
    assert not client.refresh().succeeded
