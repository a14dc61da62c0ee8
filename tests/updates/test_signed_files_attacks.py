"""Attacks on the channel, and with stolen keys."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Targets

from holdfast.errors import UpdateError
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.signed_files import SignedFiles
from holdfast.updates.working_copy import fetch
from tests.updates.conftest import Refresh
from tests.updates.faults import FAULTS, STAGES, drip, path_of
from tests.updates.origin import Origin, send, sending
from tests.updates.signed_repository import FILES, NOW, SignedRepository, meta_file, twin_of

Refused = Callable[[str], None]


@pytest.fixture
def refused(update: Refresh) -> Refused:
    """Expect the next refresh to be refused."""

    def run(text: str) -> None:
        with pytest.raises(UpdateError, match=text):
            update()

    return run


def test_rollback(repository: SignedRepository, update: Refresh, refused: Refused) -> None:
    """A timestamp that is older than the last one is refused, although it is still valid."""
    old = dict(repository.files)
    repository.publish()
    update()
    repository.files.update(old)

    refused("New timestamp version 1 must be >= 2")


def test_rollback_of_the_snapshot(
    repository: SignedRepository, update: Refresh, refused: Refused
) -> None:
    """Whoever has the timestamp's key cannot bring back an older snapshot."""
    old = meta_file(1, repository.bytes_of("snapshot"))
    repository.publish()
    update()
    repository.timestamp.snapshot_meta = old
    repository.bump("timestamp")

    refused("New snapshot version must be >= 2")


def test_rollback_of_the_pins(
    repository: SignedRepository, update: Refresh, refused: Refused
) -> None:
    """Whoever has the online keys cannot bring back older pins to a client that saw newer ones."""
    old = meta_file(1, repository.bytes_of("pins"))
    repository.publish()
    update()
    repository.snapshot.meta["pins.json"] = old
    repository.bump("snapshot")
    repository.timestamp.snapshot_meta = meta_file(3, repository.bytes_of("snapshot"))
    repository.bump("timestamp")

    refused(r"pins\.json version")


def test_a_role_that_vanishes_from_the_snapshot(
    repository: SignedRepository, update: Refresh, refused: Refused
) -> None:
    """Whoever has the online keys cannot make a client forget a role."""
    update()
    del repository.snapshot.meta["emergency.json"]
    repository.bump("snapshot")
    repository.timestamp.snapshot_meta = meta_file(2, repository.bytes_of("snapshot"))
    repository.bump("timestamp")

    refused(r"missing info for 'emergency\.json'")


def test_freeze(repository: SignedRepository, update: Refresh, reread: Refresh) -> None:
    """An origin that stands still is noticed when its timestamp expires; what is kept remains."""
    files = update()
    late = repository.timestamp.expires

    with pytest.raises(UpdateError, match="expired"):
        update(now=late)
    assert reread() == files


def test_withheld_roots(repository: SignedRepository, origin: Origin, update: Refresh) -> None:
    """Holding back new roots lasts no longer than the timestamp that old keys have signed."""
    update()
    repository.rotate("timestamp")
    origin.answers["metadata/2.root.json"] = sending(b"", status=403)

    with pytest.raises(UpdateError, match="timestamp was signed by 0/1 keys"):
        update()


def test_fast_forward(repository: SignedRepository, update: Refresh, refused: Refused) -> None:
    """A version of 2^31 holds a client up until timestamp and snapshot have new keys."""
    update()
    repository.timestamp.version = repository.snapshot.version = 2**31 - 1
    repository.publish_top()
    update()
    repository.timestamp.version = repository.snapshot.version = 1
    repository.publish()
    refused("New timestamp version")

    repository.rotate("timestamp", "snapshot")

    assert repository.bundle(2) == update().pins.content


def test_mix_and_match(repository: SignedRepository, update: Refresh, refused: Refused) -> None:
    """Metadata of one state does not pass in another, however well signed."""
    repository.publish()
    old = repository.files["metadata/2.pins.json"]
    repository.publish()
    repository.files["metadata/3.pins.json"] = old

    refused("hash")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "pins"])
def test_tampering(repository: SignedRepository, refused: Refused, role: str) -> None:
    """One changed byte is noticed, wherever it is."""
    path = f"metadata/{'' if role == 'timestamp' else '1.'}{role}.json"
    content = repository.files[path]
    repository.files[path] = content.replace(b'"version": 1', b'"version": 7').replace(
        b'"version":1', b'"version":7'
    )
    assert content != repository.files[path]

    refused("signed by 0/1 keys" if role == "timestamp" else "hash")


def test_a_tampered_file(repository: SignedRepository, refused: Refused, copy: Path) -> None:
    """A file that is not what was signed is not kept, not even in part."""
    for path in repository.files:
        if path.startswith("targets/pins/"):
            repository.files[path] = bytes(len(repository.files[path]))

    refused("hash")
    assert ["emergency.deny.json"] == [path.name for path in (copy / "targets").iterdir()]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "pins"])
def test_the_key_of_a_stranger(repository: SignedRepository, refused: Refused, role: str) -> None:
    """Signatures by keys of nobody count for nothing."""
    _sign_again(repository, role, [CryptoSigner.generate_ed25519() for _ in range(3)])

    refused(f"{role} was signed by 0/")


@pytest.mark.parametrize("role", ["targets", "pins"])
def test_the_key_of_another_role(repository: SignedRepository, refused: Refused, role: str) -> None:
    """A stolen online key signs for its own role only."""
    _sign_again(repository, role, repository.keys["timestamp"])

    refused(f"{role} was signed by 0/")


def test_below_the_threshold(repository: SignedRepository, refused: Refused) -> None:
    """One of two signatures is not enough."""
    _sign_again(repository, "targets", repository.keys["targets"][:1])

    refused("targets was signed by 1/2 keys")


def test_one_key_signing_twice(repository: SignedRepository, refused: Refused) -> None:
    """Two signatures of one key are one."""
    _sign_again(repository, "targets", repository.keys["targets"][:1])
    path = "metadata/2.targets.json"
    document = json.loads(repository.files[path])
    document["signatures"] *= 2
    repository.files[path] = json.dumps(document).encode()
    repository.snapshot.meta["targets.json"] = meta_file(2, repository.files[path])
    repository.bump("snapshot")
    repository.timestamp.snapshot_meta = meta_file(3, repository.bytes_of("snapshot"))
    repository.bump("timestamp")

    refused("deserialize")


@pytest.mark.parametrize("role", ["targets", "pins"])
def test_one_key_under_two_names(
    repository: SignedRepository, update: Refresh, refused: Refused, role: str
) -> None:
    """A key that its delegator lists twice signs once; python-tuf alone counts it twice."""
    update()
    twin = twin_of(repository.keys[role][0])
    if role == "pins":
        assert repository.targets.delegations is not None
        repository.targets.add_key(twin.public_key, role)
        (repository.targets.delegations.roles or {})[role].threshold = 2
        repository.bump("targets")
    else:
        repository.root.add_key(twin.public_key, role)
        repository.rotate()
    _sign_again(repository, role, [repository.keys[role][0], twin])

    refused(f"{role} was signed by 1/2 keys")


def test_one_key_under_two_names_in_the_next_root(
    repository: SignedRepository, update: Refresh, refused: Refused
) -> None:
    """Nor does it sign a root twice, be it for the root before or for itself."""
    update()
    first, second, third = repository.keys["root"]
    twin = twin_of(first)
    repository.root.revoke_key(third.public_key.keyid, "root")
    repository.root.add_key(twin.public_key, "root")
    repository.root.version = 2
    repository.publish_root([first, second])
    update()
    repository.root.version = 3
    repository.publish_root([first, twin])
    refused("root was signed by 1/2 keys")

    repository.root.revoke_key(second.public_key.keyid, "root")
    repository.publish_root([first, second, twin])
    refused("root was signed by 1/2 keys")


def test_a_skipped_root(repository: SignedRepository, refused: Refused) -> None:
    """Roots come one after the other."""
    repository.root.version = 3
    repository.publish_root()
    repository.files["metadata/2.root.json"] = repository.files["metadata/3.root.json"]

    refused("Expected root version 2 instead got version 3")


def test_a_root_by_new_keys_alone(repository: SignedRepository, refused: Refused) -> None:
    """A root that its predecessor's keys have not signed is refused."""
    repository.rotate("root")
    repository.publish_root(repository.keys["root"][:2])

    refused("root was signed by 0/2 keys")


@pytest.mark.parametrize("rotations", [8, 300])
def test_many_roots(
    repository: SignedRepository, update: Refresh, reread: Refresh, rotations: int
) -> None:
    """A client that is many roots behind catches up, with all keys replaced at each."""
    for _ in range(rotations):
        repository.rotate("root", "targets", "snapshot", "timestamp")
    repository.publish()

    files = update()

    assert repository.bundle(2) == files.pins.content
    assert reread() == files


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("which", STAGES)
def test_faults_of_an_origin(
    repository: SignedRepository,
    origin: Origin,
    copy: Path,
    update: Refresh,
    which: str,
    fault: str,
) -> None:
    """Whatever an origin sends for a file ends soon, in one class, and the next refresh is fine."""
    update()
    repository.rotate()
    repository.publish()
    path = path_of(repository, which)
    origin.answers[path] = FAULTS[fault](origin)

    with pytest.raises(UpdateError, match="localhost"):
        _fetch_in_a_hurry(repository, copy, origin)
    del origin.answers[path]

    assert repository.bundle(2) == update().pins.content


def _fetch_in_a_hurry(
    repository: SignedRepository,
    copy: Path,
    *origins: Origin,
    transfer: float = 0.3,
    together: float = 20,
) -> SignedFiles:
    return fetch(
        [OriginFetcher(one.url, None, plain_http=True, deadline=transfer) for one in origins],
        root=repository.root_bytes,
        now=NOW,
        metadata=copy / "metadata",
        targets=copy / "targets",
        deadline=together,
    )


@pytest.mark.parametrize("which", STAGES)
def test_a_refresh_has_one_deadline(
    repository: SignedRepository, origin: Origin, copy: Path, update: Refresh, which: str
) -> None:
    """Whichever file drips, that is the last one that is asked for, though it has time left."""
    update()
    repository.rotate()
    repository.publish()
    path = path_of(repository, which)
    origin.answers[path] = drip(origin)

    with pytest.raises(UpdateError, match="all transfers together took more than 1 s"):
        _fetch_in_a_hurry(repository, copy, origin, transfer=20, together=1)

    assert path == origin.requests[-1]


def test_many_slow_roots_have_one_deadline(
    repository: SignedRepository, origin: Origin, copy: Path, update: Refresh
) -> None:
    """A thousand roots, each just in time, would take hours; what has come by then is kept."""
    for _ in range(40):
        repository.rotate()

    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        send(request, origin.files[request.path.removeprefix("/repository/")])

    origin.answers["*"] = slow
    with pytest.raises(UpdateError, match=r"all transfers together took more than 0\.5 s"):
        _fetch_in_a_hurry(repository, copy, origin, transfer=20, together=0.5)
    asked = len(origin.requests)
    origin.answers.clear()

    assert asked < 12
    assert repository.bundle(1) == update().pins.content
    assert origin.requests[asked] in {f"metadata/{asked + more}.root.json" for more in (1, 2)}


def test_the_next_origin_has_time_of_its_own(
    repository: SignedRepository, origin: Origin, serve: Callable[..., Origin], copy: Path
) -> None:
    """An origin that drips does not use up the time of its mirror."""
    origin.answers["*"] = drip(origin)
    mirror = serve(repository.files)

    files = _fetch_in_a_hurry(repository, copy, origin, mirror, transfer=20, together=1)

    assert repository.bundle(1) == files.pins.content


def test_an_exchanged_root_in_the_copy(
    repository: SignedRepository, serve: Callable[..., Origin], update: Refresh, copy: Path
) -> None:
    """Whoever exchanges the cached root, and serves what it vouches for, is not believed."""
    files = update()
    attacker = SignedRepository()
    attacker.rotate()
    for folder in ("metadata", "metadata/root_history"):
        for version in (1, 2):
            content = attacker.files[f"metadata/{version}.root.json"]
            (copy / folder / f"{version}.root.json").write_bytes(content)
    (copy / "metadata" / "root.json").unlink()
    (copy / "metadata" / "root.json").write_bytes(attacker.root_bytes)

    with pytest.raises(UpdateError, match="signed by 0/"):
        update(serve(attacker.files))
    assert files == update()


def test_pins_by_the_targets_role(repository: SignedRepository, refused: Refused) -> None:
    """Pins that the top-level targets list count no more than any other stranger's."""
    repository.put("targets", repository.bundle(9), FILES["pins"])
    repository.publish(roles=["targets"])

    refused("signed by targets; only pins")


@pytest.mark.parametrize(("role", "other"), [("emergency", "pins"), ("pins", "emergency")])
def test_a_role_listing_the_file_of_another(
    repository: SignedRepository, update: Refresh, role: str, other: str
) -> None:
    """What a role lists outside of its folder is not seen."""
    repository.put(role, b"not mine", FILES[other])
    repository.publish(roles=["emergency"])

    files = update()

    assert repository.bundle(2) == files.pins.content
    assert b"[]" == (files.emergency and files.emergency.content)


def test_a_policy_by_the_pins_role(repository: SignedRepository, update: Refresh) -> None:
    """A policy that the online key has signed is no policy."""
    assert repository.targets.delegations is not None
    roles = repository.targets.delegations.roles
    assert roles is not None
    roles["pins"].paths = ["pins/*", "policy/*"]
    repository.put("pins", b"policy", FILES["targets"])
    repository.publish(roles=["targets"])

    assert update().policy is None


def test_a_role_that_delegates_further(repository: SignedRepository, update: Refresh) -> None:
    """Whoever has the emergency key and the online keys cannot pass the folder on."""
    key = CryptoSigner.generate_ed25519()
    emergency = repository.signed("emergency")
    emergency.delegations = Delegations(
        {key.public_key.keyid: key.public_key},
        {"second": DelegatedRole("second", [key.public_key.keyid], 1, True, paths=["*/*"])},
    )
    emergency.targets.clear()
    repository.metadata["second"] = Metadata(Targets(expires=repository.timestamp.expires))
    repository.put("second", b"passed on", FILES["emergency"])
    repository.sign("second", [key])
    repository.serve("second")
    repository.snapshot.meta["second.json"] = meta_file(1, repository.bytes_of("second"))
    repository.publish(roles=["emergency"])

    files = update()

    assert repository.bundle(2) == files.pins.content
    assert (None, True) == (files.emergency, files.emergency_problem is not None)


@pytest.mark.parametrize("name", ["../../../escaped", "/escaped", "..", "a\0b", "\u202epins"])
def test_names_of_roles_lead_nowhere(
    repository: SignedRepository, refused: Refused, tmp_path: Path, name: str
) -> None:
    """A role with a name like a path writes nothing outside of the copy (CVE-2021-41131)."""
    assert repository.targets.delegations is not None
    pins = repository.metadata["pins"]
    keyids = [key.public_key.keyid for key in repository.keys["pins"]]
    repository.targets.delegations.roles = {
        name: DelegatedRole(name, keyids, 1, True, paths=["pins/*"])
    }
    repository.targets.version += 1
    repository.sign("targets")
    repository.serve("targets")
    repository.snapshot.meta[f"{name}.json"] = meta_file(1, pins.to_bytes())
    repository.snapshot.meta["targets.json"] = meta_file(2, repository.bytes_of("targets"))
    repository.bump("snapshot")
    repository.timestamp.snapshot_meta = meta_file(2, repository.bytes_of("snapshot"))
    repository.bump("timestamp")

    refused("delegated to")
    assert ["copy"] == [path.name for path in tmp_path.iterdir()]
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name]


@pytest.mark.parametrize("digest", ["../../../secret", "x\r\nhost: elsewhere\r\n", "?", "a b"])
def test_hashes_lead_nowhere(
    repository: SignedRepository, origin: Origin, refused: Refused, digest: str
) -> None:
    """A hash like a path, or like a header, is not asked for."""
    repository.signed("pins").targets[FILES["pins"]].hashes["sha256"] = digest
    repository.bump("pins")
    repository.publish_top()

    refused("no name of a file")
    assert not [path for path in origin.requests if "pins/" in path]


def _sign_again(repository: SignedRepository, role: str, keys: list[CryptoSigner]) -> None:
    """Publish a role's next version by these keys, with the rest of the state in order."""
    repository.signed(role).version += 1
    repository.sign(role, keys)
    repository.serve(role)
    if role == "snapshot":
        repository.timestamp.snapshot_meta = meta_file(2, repository.bytes_of("snapshot"))
        repository.bump("timestamp")
    elif role != "timestamp":
        repository.publish_top()
