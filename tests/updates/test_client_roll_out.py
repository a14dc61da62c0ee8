"""A client of a roll-out, with a real repository that signs and serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.document import Bundle, DenyList, bundle_to_bytes, deny_list_to_bytes
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import State
from holdfast.updates.roll_out import Candidate, is_chosen
from tests.updates.origin import Origin
from tests.updates.seeded import NEW, NEXT, OLD, SEED, policy
from tests.updates.signed_repository import NOW, SignedRepository

SALT = b"sixteen bytes !!"


def staged(
    serial: int, candidate: Policy, basis_points: int, stable: Policy = SEED.policy
) -> bytes:
    """Return a bundle with a candidate for a share of clients."""
    return bundle_to_bytes(
        Bundle(
            serial=serial,
            issued=NOW,
            refresh=timedelta(minutes=15),
            policy=stable,
            candidate=Candidate(policy=candidate, basis_points=basis_points, salt=SALT),
        )
    )


@pytest.fixture
def repository() -> SignedRepository:
    """A repository with an empty deny list."""
    made = SignedRepository()
    made.put("emergency", deny_list_to_bytes(DenyList(serial=1)))
    made.publish(staged(1, policy(NEW), 0), roles=["emergency"])
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The client's cache."""
    return tmp_path / "cache"


Start = Callable[[], UpdateClient]


@pytest.fixture
def start(folder: Path, repository: SignedRepository, origin: Origin) -> Start:
    """Return a function that starts a client, always with the same cache."""
    return lambda: UpdateClient(
        [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
        root=repository.root_bytes,
        cache=Cache(folder),
        seed=SEED,
        clock=lambda: NOW,
    )


def _state(client: UpdateClient) -> State:
    return client.state


def test_a_candidate_comes_and_is_taken_back(repository: SignedRepository, start: Start) -> None:
    """It outlasts a restart; a higher serial with nobody in it, or without it, is the way back."""
    client = start()
    assert client.refresh().succeeded
    assert (SEED.policy, False) == (client.current(), client.in_force.is_candidate)

    repository.publish(staged(2, policy(NEW), 10_000))
    assert client.refresh().succeeded
    assert [(policy(NEW), True)] * 2 == [
        (one.current(), one.in_force.is_candidate) for one in (client, start())
    ]

    repository.publish(staged(3, policy(NEW), 0))
    assert client.refresh().succeeded
    assert (SEED.policy, False) == (client.current(), client.in_force.is_candidate)


def test_a_client_follows_its_lot(repository: SignedRepository, folder: Path, start: Start) -> None:
    """It is drawn from a value in the cache, which a restart and another process keep."""
    client = start()
    assert client.refresh().succeeded
    assert client.installation == Cache(folder).installation() == start().installation

    for serial, share in enumerate(range(1000, 10_000, 1000), 2):
        content = staged(serial, policy(NEW), share)
        candidate = Candidate(policy=policy(NEW), basis_points=share, salt=SALT)
        repository.publish(content)
        assert client.refresh().succeeded
        assert is_chosen(candidate, client.installation) is client.in_force.is_candidate
        assert is_chosen(candidate, client.installation) is start().in_force.is_candidate


def test_no_value_is_kept_where_nothing_needs_it(
    repository: SignedRepository, folder: Path, start: Start
) -> None:
    """An identifier that is not there cannot leak."""
    repository.publish(
        bundle_to_bytes(
            Bundle(serial=2, issued=NOW, refresh=timedelta(hours=1), policy=SEED.policy)
        )
    )
    client = start()
    assert client.refresh().succeeded

    assert None is Cache(folder).installation()
    assert 16 == len(client.installation)


def test_a_damaged_value_is_made_anew(folder: Path, start: Start) -> None:
    """It is noted, and the next refresh puts another one in its place."""
    assert start().refresh().succeeded
    (folder / "installation").write_text("{}")

    client = start()
    assert any("installation is damaged" in note for note in client.in_force.notes)
    assert client.refresh().succeeded

    assert client.installation == Cache(folder).installation()
    assert () == client.in_force.notes == start().in_force.notes


@pytest.mark.parametrize("share", [0, 10_000], ids=["nobody", "everybody"])
@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (policy(NEW, mode=Mode.REPORT_ONLY), "mode"),
        (policy(NEW, trust=Trust.PINS_ONLY), "trust"),
        (replace(policy(NEW), unlisted=Unlisted.REFUSE), "unlisted"),
        (replace(policy(), pin_sets=()), "dropped"),
        (policy(NEW, hosts=(HostPattern.parse("other.example.com"),)), "hosts"),
    ],
    ids=["report-only", "pins-only", "unlisted", "dropped", "hosts"],
)
def test_a_candidate_changes_pins_only(
    repository: SignedRepository, start: Start, candidate: Policy, told: str, share: int
) -> None:
    """Each client refuses the whole bundle, also one that would not have followed it."""
    client = start()
    repository.publish(staged(2, candidate, share, policy(NEW)))

    refused = client.refresh()

    assert told in refused.reason
    assert "candidate" in refused.reason
    assert SEED.policy == client.current()


@pytest.mark.parametrize("share", [0, 10_000], ids=["nobody", "everybody"])
def test_a_stable_policy_changes_pins_only_beside_a_candidate(
    repository: SignedRepository, start: Start, share: int
) -> None:
    """Nobody hides a weakening behind a candidate that all clients would follow."""
    client = start()
    repository.publish(staged(2, policy(NEW), share, policy(mode=Mode.REPORT_ONLY)))

    assert "mode" in client.refresh().reason
    assert SEED.policy == client.current()


def test_the_measure_has_no_candidate(repository: SignedRepository, start: Start) -> None:
    """What the offline threshold signs is one policy for everybody."""
    client = start()
    repository.put("targets", staged(1, policy(NEW), 5000))
    repository.publish(staged(2, policy(NEW), 5000), roles=["targets"])

    assert "no measure" in client.refresh().reason
    assert SEED.policy == client.current()


@pytest.mark.parametrize(("share", "denied"), [(10_000, (NEXT, OLD)), (0, ())])
def test_denials_are_measured_by_what_is_followed(
    repository: SignedRepository, start: Start, share: int, denied: tuple[Pin, ...]
) -> None:
    """A list that leaves nothing of the stable set is applied by who has other pins."""
    client = start()
    both = frozenset({OLD, NEXT})
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=both)))
    repository.publish(staged(2, policy(NEW), share), roles=["emergency"])

    assert client.refresh().succeeded
    assert set(denied) == set(client.current().denied)
    assert (State.FRESH if denied else State.STALE) is _state(client)
