"""A repository whose first bundle says what the seed of its clients says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.client import UpdateClient
from holdfast.updates.document import (
    Bundle,
    bundle_to_bytes,
)
from holdfast.updates.freshness import State
from holdfast.updates.seed import Seed
from tests.updates.signed_repository import NOW, SignedRepository

OLD, NEW, NEXT, STOLEN = (Pin.of_spki(key) for key in (b"old", b"new", b"next", b"stolen"))
DAY = timedelta(days=1)
Start = Callable[..., UpdateClient]


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


def state_of(client: UpdateClient) -> State:
    """Return the state, which may have changed since it was asked for."""
    return client.state


def publish_policy(repository: SignedRepository, content: Policy, serial: int = 1) -> None:
    """Sign a policy with the offline keys, for the next publication."""
    repository.put("targets", bundle(serial, content))
    repository.bump("targets")
