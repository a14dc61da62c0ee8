from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Unlisted
from holdfast.updates.client import UpdateClient
from holdfast.updates.document import PINS_TARGET, bundle_to_bytes
from holdfast.updates.roll_out import is_chosen
from holdfast.updates.weakening import Kind
from tests.updates.followed_repository import HOUR, OTHER, Opened
from tests.updates.seeded import NEW, OLD, STOLEN, policy

LAST = 2**63 - 1


def test_what_is_published_is_in_force(opened: Opened, follower: UpdateClient) -> None:
    """The first policy is signed by the offline keys too, later pins by the online ones alone."""
    first = opened().publish(policy(OLD), refresh=HOUR, rules=True)
    assert follower.refresh().succeeded
    assert policy(OLD) == follower.current()

    online = opened("pins", "snapshot", "timestamp")
    second = online.publish(policy(OLD, NEW), refresh=HOUR)

    assert follower.refresh().succeeded
    assert policy(OLD, NEW) == follower.current()
    assert (1, 2) == (first.serial, second.serial)
    assert [Kind.PINS] == [change.kind for change in second.changes]
    assert ("pins", "snapshot", "timestamp") == second.signed
    assert HOUR == follower.in_force.refresh


def test_more_than_pins_takes_the_offline_keys(opened: Opened, follower: UpdateClient) -> None:
    """The online machine cannot publish what clients would refuse, by mistake or otherwise."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    looser = policy(OLD, mode=Mode.REPORT_ONLY)

    with pytest.raises(UpdateError, match="mode"):
        opened("pins", "snapshot", "timestamp").publish(looser, refresh=HOUR)
    with pytest.raises(UpdateError, match="targets takes 1 of its 2 keys, and 0 are here"):
        opened("pins", "snapshot", "timestamp").publish(looser, refresh=HOUR, rules=True)
    assert follower.refresh().succeeded
    assert policy(OLD) == follower.current()

    stricter = replace(policy(OLD), unlisted=Unlisted.REFUSE)
    done = opened().publish(stricter, refresh=HOUR, rules=True)
    assert "targets" in done.signed
    assert follower.refresh().succeeded
    assert stricter == follower.current()


def _use_up_serials(folder: Path, opened: Opened) -> None:
    """Publish the last serial there is, as whoever has stolen the online keys can."""
    publisher = opened("pins", "snapshot", "timestamp")
    bundle = publisher.bundle()
    assert bundle is not None
    content = bundle_to_bytes(replace(bundle, serial=LAST, policy=policy(STOLEN)))
    publisher._repository.put("pins", PINS_TARGET, content)
    publisher._repository.write(("pins", "snapshot", "timestamp"))


def test_a_new_epoch_undoes_a_serial(folder: Path, opened: Opened, follower: UpdateClient) -> None:
    """No serial is above the thief's, and clients take the first one of the next epoch."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    _use_up_serials(folder, opened)
    assert follower.refresh().succeeded
    assert (LAST, policy(STOLEN)) == (follower.in_force.serial, follower.current())
    with pytest.raises(UpdateError, match="new-epoch"):
        opened().publish(policy(NEW), refresh=HOUR)

    done = opened().new_epoch(policy(NEW), refresh=HOUR)

    assert follower.refresh().succeeded
    assert (2, 1) == (follower.in_force.epoch, follower.in_force.serial)
    assert policy(NEW) == follower.current()
    assert (1, 2) == (done.serial, opened().epoch)
    assert 2 == opened("pins", "snapshot", "timestamp").publish(policy(OLD), refresh=HOUR).serial
    assert follower.refresh().succeeded
    assert policy(OLD) == follower.current()


def test_a_new_epoch_drops_a_candidate(opened: Opened) -> None:
    """It is told, unless it becomes the policy of the epoch."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    candidate = opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR).candidate

    assert candidate == opened().new_epoch(policy(OLD), refresh=HOUR).dropped
    opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR)
    assert opened().new_epoch(policy(NEW), refresh=HOUR).dropped is None


def test_a_new_epoch_lifts_denials(opened: Opened, follower: UpdateClient) -> None:
    """Those that are named, at a client that remembers them; the others hold in it."""
    other = Pin.of_spki(b"another")
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().deny([OLD, other])
    assert follower.refresh().succeeded
    assert {OLD, other} == set(follower.current().denied)

    done = opened().new_epoch(policy(OLD), refresh=HOUR, lift=[OLD])

    assert "emergency" in done.signed
    assert follower.refresh().succeeded
    assert (other,) == follower.current().denied
    opened().new_epoch(policy(OLD), refresh=HOUR)
    assert follower.refresh().succeeded
    assert (other,) == follower.current().denied


def test_what_a_new_epoch_takes(opened: Opened) -> None:
    """The offline keys, those of emergency for a denial, and a denial to be lifted."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().deny([OLD])
    online = ("pins", "snapshot", "timestamp")

    for roles, lift, told in (
        (online, [], "targets takes 1 of its 2 keys"),
        ((*online, "targets"), [OLD], "emergency takes 1 of its 2 keys"),
        ((), [NEW], "is not denied"),
    ):
        with pytest.raises(UpdateError, match=told):
            opened(*roles).new_epoch(policy(OLD), refresh=HOUR, lift=lift)
    with pytest.raises(UpdateError, match="stands in `denied` of the policy"):
        opened().new_epoch(replace(policy(NEW), denied=(OLD,)), refresh=HOUR, lift=[OLD])
    assert 1 == opened().epoch


def test_a_candidate_keeps_its_salt(opened: Opened, follower: UpdateClient) -> None:
    """As long as it is the same policy: clients that have it keep it when the share grows."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    online = ("pins", "snapshot", "timestamp")
    salts = []
    for content, share in ((NEW, 10), (NEW, 10_000), (NEW, 0), (OTHER, 0)):
        done = opened(*online).roll_out(policy(content), basis_points=share, refresh=HOUR)
        assert done.candidate is not None
        salts.append(done.candidate.salt)
        assert (online, [Kind.PINS]) == (done.signed, [change.kind for change in done.changes])
        assert follower.refresh().succeeded
        followed = content if is_chosen(done.candidate, follower.installation) else OLD
        assert policy(followed) == follower.current()

    assert [1, 1, 1, 2] == [len(set(salts[: place + 1])) for place in range(4)]


def test_what_is_promoted_is_no_candidate_any_more(opened: Opened, follower: UpdateClient) -> None:
    """Who had it has it still, and the others get it."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().roll_out(policy(NEW), basis_points=10_000, refresh=HOUR)
    assert follower.refresh().succeeded
    assert follower.in_force.is_candidate
    opened().publish(policy(NEW), refresh=HOUR)
    assert follower.refresh().succeeded

    published = opened().bundle()
    assert published is not None
    assert (policy(NEW), None) == (published.policy, published.candidate)
    assert (policy(NEW), False) == (follower.current(), follower.in_force.is_candidate)


def test_a_candidate_that_clients_would_refuse_is_not_published(opened: Opened) -> None:
    """Nor one beside nothing, nor one that changes nothing."""
    with pytest.raises(UpdateError, match="no stable policy"):
        opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR)
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    for content, told in ((policy(OLD), "says already"), (policy(mode=Mode.REPORT_ONLY), "mode")):
        with pytest.raises(UpdateError, match=told):
            opened().roll_out(content, basis_points=1, refresh=HOUR)

    published = opened().bundle()
    assert published is not None
    assert (1, None) == (published.serial, published.candidate)
