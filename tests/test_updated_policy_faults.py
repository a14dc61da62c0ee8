"""What an origin, a network or a thief may do to a client. After each: the newest pins ever seen.

Each row of the fault table of signed updates is here, against `UpdatedPolicy` and a real server;
many are looked at more closely in tests/updates/.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole

from holdfast import UpdatedPolicy
from holdfast.errors import UpdateError
from holdfast.pins.policy import OnStale
from holdfast.updates.freshness import State
from holdfast.updates.in_force import HARD_LIMIT
from tests.updates.faults import FAULTS, STAGES, path_of
from tests.updates.followed import (
    Followed,
    assert_follows,
    assert_in_force,
    at,
    pin,
)
from tests.updates.origin import send
from tests.updates.seeded import bundle, policy
from tests.updates.signed_repository import FILES, SignedRepository, meta_file, twin_of

DAY = timedelta(days=1)
full = pytest.mark.full


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    """A repository, and an application that follows it."""
    with Followed(tmp_path) as followed:
        yield followed


def test_rollback(followed: Followed) -> None:
    """An older state, signed as well as ever, is not taken."""
    followed.repository.publish()
    old = dict(followed.repository.files)
    running = followed.followed_to(3)
    followed.origin.files = old

    followed.assert_refused(running, "must be >=", 3)


def test_rollback_by_a_thief(followed: Followed) -> None:
    """Nor are older pins in newer metadata, which takes all three online keys."""
    running = followed.followed_to(3)
    followed.repository.publish(followed.repository.bundle(2))

    followed.assert_refused(running, "older", 3)


def test_rollback_of_a_client_that_lost_its_cache(followed: Followed) -> None:
    """What is older than the seed of its build is not taken either."""
    followed.followed_to(2)
    old = dict(followed.repository.files)
    followed.application.ship(3)
    shutil.rmtree(followed.application.cache)
    followed.origin.files = old

    followed.assert_refused(followed.application.start(), "older", 3)


def test_rollback_of_a_client_that_lost_all_but_its_floor(followed: Followed) -> None:
    """The floor alone refuses the older state; with nothing else kept, the seed is in force."""
    followed.repository.publish()
    old = dict(followed.repository.files)
    followed.followed_to(3)
    cache = followed.application.cache
    for name in ("gen", "work"):
        shutil.rmtree(cache / name)
    (cache / "current").unlink()
    followed.origin.files = old

    followed.assert_refused(followed.application.start(), "older", 1)
    followed.origin.files = followed.repository.files
    assert_follows(followed.application.start(), 3)


def test_rollback_of_a_client_that_lost_its_floor(followed: Followed) -> None:
    """What is in force is a floor itself, also against a thief of all online keys."""
    followed.followed_to(3)
    for path in followed.application.cache.glob("floor.*"):
        path.unlink()
    followed.repository.publish(followed.repository.bundle(2))

    followed.assert_refused(followed.application.start(), "older", 3)


def _state(running: UpdatedPolicy) -> State:
    return running.state


def test_freeze(followed: Followed) -> None:
    """An origin that stands still leaves the client with what it has, and that is said in time."""
    running = followed.followed_to(2)
    expires = followed.repository.timestamp.expires

    at(running, lambda: expires)
    followed.assert_refused(running, r"timestamp\.json is expired", 2)
    assert State.STALE is _state(running)
    at(running, lambda: expires + HARD_LIMIT)
    followed.assert_refused(running, r"timestamp\.json is expired", 2)
    assert State.EXPIRED is _state(running)

    followed.repository.now = expires + HARD_LIMIT
    followed.repository.publish(roles=["targets", "emergency"])
    assert_follows(running, 3)


def test_a_freeze_that_the_policy_does_not_bear(followed: Followed) -> None:
    """Where the signed policy says so, everything is refused at the hard limit."""
    rule = replace(policy(pin(2)), on_stale=OnStale.REFUSE)
    followed.application.ship(1, rule)
    followed.repository.publish(bundle(2, rule))
    running = followed.application.start()
    assert_follows(running, 2)
    expires = followed.repository.timestamp.expires

    at(running, lambda: expires + HARD_LIMIT)
    assert "expired" in running.refresh().reason
    with pytest.raises(UpdateError, match="refuses everything"):
        running.current()


@pytest.mark.parametrize("stolen", ["timestamp and snapshot", "pins"])
def test_fast_forward(followed: Followed, stolen: str) -> None:
    """A thief's versions of 2^31 hold updates up; new keys of timestamp and snapshot free them.

    That is section 5.3.11 of the TUF specification.
    """
    running = followed.followed_to(2)
    repository = followed.repository
    versions = repository.timestamp.version, repository.snapshot.version
    if stolen == "pins":
        repository.snapshot.meta["pins.json"].version = 2**31 - 1
    else:
        repository.timestamp.version = repository.snapshot.version = 2**31 - 2
    repository.bump("snapshot")
    repository.timestamp.snapshot_meta = meta_file(
        repository.snapshot.version, repository.bytes_of("snapshot")
    )
    repository.bump("timestamp")
    running.refresh()
    if stolen != "pins":
        repository.timestamp.version, repository.snapshot.version = versions
    repository.publish()
    followed.assert_refused(running, "version", 2)

    repository.rotate("timestamp", "snapshot")

    assert_follows(running, 3)
    assert_follows(followed.application.start(), 3)


def test_the_highest_serial(followed: Followed) -> None:
    """A thief's serial of 2^63 - 1 is undone by the next epoch, which only offline keys begin."""
    running = followed.followed_to(2)
    repository = followed.repository
    repository.publish(bundle(2**63 - 1, policy(pin(66))))
    assert running.refresh().succeeded
    repository.serial = 2
    repository.publish()
    assert "older" in running.refresh().reason
    assert (pin(66),) == running.current().pin_sets[0].leaf

    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.serial = 2
    repository.publish(roles=["targets"])

    assert_follows(running, 3)
    assert_follows(followed.application.start(), 3)


def test_mix_and_match(followed: Followed) -> None:
    """Metadata of another state does not pass, however well signed."""
    running = followed.followed_to(2)
    repository = followed.repository
    old = repository.files[path_of(repository, "pins")]
    repository.publish()
    repository.files[path_of(repository, "pins")] = old

    followed.assert_refused(running, "hash", 2)


def _sign_next(repository: SignedRepository, role: str, keys: list[CryptoSigner]) -> None:
    """Publish pins, with a role signed by these keys."""
    repository.publish()
    repository.signed(role).version += 1
    repository.sign(role, keys)
    repository.serve(role)
    if role == "root":
        return
    if role == "snapshot":
        repository.timestamp.snapshot_meta = meta_file(
            repository.snapshot.version, repository.bytes_of(role)
        )
        repository.bump("timestamp")
    elif role != "timestamp":
        repository.publish_top()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "pins"])
def test_wrong_signatures(followed: Followed, role: str) -> None:
    """Keys of nobody sign for nobody."""
    running = followed.followed_to(2)
    _sign_next(followed.repository, role, [CryptoSigner.generate_ed25519() for _ in range(3)])

    followed.assert_refused(running, f"{role} was signed by 0/", 2)


@pytest.mark.parametrize("role", ["root", "targets"])
def test_below_the_threshold(followed: Followed, role: str) -> None:
    """One of two signatures is not enough."""
    running = followed.followed_to(2)
    _sign_next(followed.repository, role, followed.repository.keys[role][:1])

    followed.assert_refused(running, f"{role} was signed by 1/2 keys", 2)


def test_one_key_signing_twice(followed: Followed) -> None:
    """Two signatures of one key are one."""
    running = followed.followed_to(2)
    repository = followed.repository
    repository.root.version += 1
    repository.sign("root", repository.keys["root"][:1])
    document = json.loads(repository.bytes_of("root"))
    document["signatures"] *= 2
    repository.files["metadata/2.root.json"] = json.dumps(document).encode()

    followed.assert_refused(running, "deserialize", 2)


def test_one_key_under_two_names(followed: Followed) -> None:
    """A key that a role lists twice signs once."""
    running = followed.followed_to(2)
    repository = followed.repository
    twin = twin_of(repository.keys["targets"][0])
    repository.root.add_key(twin.public_key, "targets")
    repository.rotate()
    _sign_next(repository, "targets", [repository.keys["targets"][0], twin])

    followed.assert_refused(running, "targets was signed by 1/2 keys", 2)


@pytest.mark.parametrize("rotations", [8, pytest.param(300, marks=full)])
def test_many_roots(followed: Followed, rotations: int) -> None:
    """A client that is many roots behind catches up, with all keys replaced at each."""
    running = followed.followed_to(2)
    for _ in range(rotations):
        followed.repository.rotate("root", "targets", "snapshot", "timestamp")
    followed.repository.publish()

    assert_follows(running, 3)
    assert_follows(followed.application.start(), 3)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
def test_faults_of_an_origin(followed: Followed, stage: str, fault: str) -> None:
    """Whatever is sent for a file: it ends, it is said, and the next refresh is fine."""
    running = followed.followed_to(2)
    followed.repository.rotate()
    followed.repository.publish()
    path = path_of(followed.repository, stage)
    followed.origin.answers[path] = FAULTS[fault](followed.origin)

    followed.assert_refused(running, "localhost", 2, deadline=1)
    # The timestamp of before is still valid; but where the deny list has come, pins were withheld.
    is_known_to_be_old = stage in {"pins", "target"}
    assert (State.STALE if is_known_to_be_old else State.FRESH) is running.state
    assert is_known_to_be_old == any(
        "the newest state is not in force" in note for note in running.in_force.notes
    )
    del followed.origin.answers[path]
    running._client._deadline = 60
    assert_follows(running, 3)


def test_many_slow_roots(followed: Followed) -> None:
    """Roots that come one by one, each in its time, end with the time of the whole refresh."""
    running = followed.followed_to(2)
    for _ in range(40):
        followed.repository.rotate()
    followed.repository.publish()

    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        send(request, followed.origin.files[request.path.removeprefix("/repository/")])

    followed.origin.answers["*"] = slow
    followed.origin.requests.clear()
    followed.assert_refused(running, "all transfers together", 2, deadline=0.5)
    assert len(followed.origin.requests) < 12


def test_a_mirror_helps(followed: Followed) -> None:
    """An origin that drips from the first byte does not use up the time of its mirror."""
    mirror = followed.serve(followed.repository.files)
    followed.origin.answers["*"] = FAULTS["drip"](followed.origin)
    running = followed.application.start(mirrors=[mirror.url], deadline=1)
    followed.repository.publish()

    assert_follows(running, 2)


def test_no_network(followed: Followed) -> None:
    """A refused connection is said, and a start needs none."""
    running = followed.followed_to(2)
    followed.origin.__exit__(None, None, None)

    followed.assert_refused(running, "refused", 2)


def test_an_origin_of_another(followed: Followed, tmp_path: Path) -> None:
    """Who answers with a certificate of another CA is not listened to."""
    running = followed.followed_to(2)
    (tmp_path / "elsewhere").mkdir()
    with Followed(tmp_path / "elsewhere") as impostor:
        impostor.repository.publish()
        followed.assert_refused(
            followed.application.start(url=impostor.origin.url), "certificate", 2
        )
    assert_follows(running, 2)


@pytest.mark.parametrize("name", ["../../../escaped", "/escaped", "..", "a\0b", "\u202epins"])
def test_names_of_roles_lead_nowhere(followed: Followed, tmp_path: Path, name: str) -> None:
    """A role with a name like a path writes nothing outside of the cache (CVE-2021-41131)."""
    running = followed.followed_to(2)
    before = {path.name for path in tmp_path.iterdir()}
    repository = followed.repository
    assert repository.targets.delegations is not None
    roles = dict(repository.targets.delegations.roles or {})
    stranger = DelegatedRole(name, roles["pins"].keyids, 1, True, paths=["pins/*"])
    repository.targets.delegations.roles = {name: stranger, **roles}
    pins = repository.metadata["pins"].to_bytes()
    repository.snapshot.meta[f"{name}.json"] = meta_file(1, pins)
    repository.publish(roles=["targets"])

    followed.assert_refused(running, "delegated to", 2)
    assert before == {path.name for path in tmp_path.iterdir()}
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name]


@pytest.mark.parametrize("digest", ["../../../secret", "x\r\nhost: elsewhere\r\n", "?", "a b"])
def test_hashes_lead_nowhere(followed: Followed, digest: str) -> None:
    """A hash like a path, or like a header, is not asked for."""
    running = followed.followed_to(2)
    repository = followed.repository
    repository.publish()
    repository.signed("pins").targets[FILES["pins"]].hashes["sha256"] = digest
    repository.bump("pins")
    repository.publish_top()
    followed.origin.requests.clear()

    followed.assert_refused(running, "no name of a file", 2)
    assert not [path for path in followed.origin.requests if path.startswith("targets/pins")]


def test_clock_back_and_forward(followed: Followed) -> None:
    """A clock that is set back makes nothing fresh, and one that is ahead takes no pin away."""
    running = followed.followed_to(2)
    late = followed.repository.timestamp.expires + DAY
    at(running, lambda: late)
    followed.assert_refused(running, "expired", 2)
    assert State.STALE is running.state

    followed.repository.now = late
    followed.repository.publish()
    assert_follows(running, 3)
    for _ in range(2):
        at(running, lambda: datetime(2000, 1, 1, tzinfo=UTC))
        assert_in_force(running, 3)
        assert_follows(running, 3)
        running = followed.application.start()
    followed.repository.timestamp.expires = late - DAY / 2
    followed.repository.publish_top()
    assert_in_force(at(running, lambda: datetime(2000, 1, 1, tzinfo=UTC)), 3)
