from dataclasses import replace

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import OnStale
from holdfast.updates.freshness import State
from holdfast.updates.in_force import HARD_LIMIT
from holdfast.updates.seed import Seed
from tests.updates.seeded import DAY, NEW, Clock, Start, bundle, policy, state_of
from tests.updates.signed_repository import NOW, SignedRepository


@pytest.mark.parametrize("on_stale", OnStale)
def test_what_happens_to_a_policy_that_grows_old(
    repository: SignedRepository, start: Start, clock: Clock, on_stale: OnStale
) -> None:
    """It is enforced while it is stale; what counts beyond that stands in it."""
    client = start(Seed(replace(policy(), on_stale=on_stale)))
    repository.publish(bundle(2, replace(policy(NEW), on_stale=on_stale)))
    assert client.refresh().succeeded

    clock.now = NOW + 2 * DAY
    assert State.STALE is state_of(client)
    assert Mode.ENFORCE is client.current().pin_sets[0].mode

    clock.now = NOW + 2 * DAY + HARD_LIMIT
    assert State.EXPIRED is state_of(client)
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
    assert State.STALE is state_of(client)
    repository.publish_top()

    assert client.refresh().succeeded
    assert State.FRESH is state_of(client)
    assert before is client.current()
