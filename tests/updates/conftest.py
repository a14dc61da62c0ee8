"""A signed repository, the origin that serves it, and a client's working copy and cache."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.document import DenyList, deny_list_to_bytes
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from holdfast.updates.seed import Seed
from holdfast.updates.signed_files import SignedFiles
from holdfast.updates.working_copy import fetch, verify_kept
from tests.updates.ceremony import Ceremony
from tests.updates.client import Client
from tests.updates.followed_repository import Follower, Keys, Opened
from tests.updates.origin import Origin
from tests.updates.seeded import SEED, Clock, Start, bundle, policy
from tests.updates.signed_repository import NOW, SignedRepository

Refresh = Callable[..., SignedFiles]


@pytest.fixture
def repository() -> SignedRepository:
    """What a publisher holds."""
    return SignedRepository()


@pytest.fixture
def serve() -> Iterator[Callable[..., Origin]]:
    """Serve files until the test is over."""
    with ExitStack() as running:
        yield lambda *args: running.enter_context(Origin(*args))


@pytest.fixture
def origin(repository: SignedRepository, serve: Callable[..., Origin]) -> Origin:
    """The server of the repository."""
    return serve(repository.files)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A client's working copy, still empty."""
    for name in ("metadata/root_history", "targets"):
        (tmp_path / "copy" / name).mkdir(parents=True)
    return tmp_path / "copy"


@pytest.fixture
def update(repository: SignedRepository, origin: Origin, copy: Path) -> Refresh:
    """Bring the working copy up to date from the origin, or from some others."""

    def run(*others: Origin, now: datetime = NOW, root: bytes | None = None) -> SignedFiles:
        fetchers = [
            OriginFetcher(one.url, None, plain_http=True, deadline=10, gap=5)
            for one in (others or (origin,))
        ]
        return fetch(
            fetchers,
            root=root or repository.root_bytes,
            now=now,
            metadata=copy / "metadata",
            targets=copy / "targets",
        )

    return run


@pytest.fixture
def reread(repository: SignedRepository, copy: Path) -> Refresh:
    """Verify what the working copy holds, without the origin."""

    def run(now: datetime = NOW, root: bytes | None = None) -> SignedFiles:
        return verify_kept(
            root=root or repository.root_bytes,
            now=now,
            metadata=copy / "metadata",
            targets=copy / "targets",
        )

    return run


@pytest.fixture
def client(tmp_path: Path, repository: SignedRepository, origin: Origin) -> Client:
    """A client that has not started yet."""
    return Client(tmp_path / "cache", origin.url, repository.root_bytes)


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    """A repository whose offline roles are signed by alice, bob and carol, two of them each."""
    return Ceremony(tmp_path)


@pytest.fixture
def keys() -> Keys:
    """All keys of the profile for two people."""
    return {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in PROFILES["small"].items()
    }


@pytest.fixture
def folder(tmp_path: Path, keys: Keys) -> Path:
    """A repository without a policy."""
    Publisher.created(tmp_path / "repository", keys, PROFILES["small"], NOW)
    return tmp_path / "repository"


@pytest.fixture
def opened(folder: Path, keys: Keys) -> Opened:
    """Return a function that opens the repository with the keys of some roles, or with all."""

    def make(*roles: str, later: timedelta = timedelta()) -> Publisher:
        signers = [one for role in roles or keys for one in keys[role]]
        return Publisher.opened(folder, {one.public_key.keyid: one for one in signers}, NOW + later)

    return make


@pytest.fixture
def follower(
    folder: Path, opened: Opened, serve: Callable[..., Origin], tmp_path: Path
) -> Follower:
    """A client of the repository."""
    return Follower(folder, serve({}), opened().root, tmp_path / "cache")


@pytest.fixture
def clock() -> Clock:
    """The client's clock."""
    return Clock()


@pytest.fixture
def seeded(repository: SignedRepository) -> SignedRepository:
    """The repository, whose first bundle says what the seed says."""
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=1)))
    repository.publish(bundle(1, policy()), roles=["emergency"])
    return repository


@pytest.fixture
def start(tmp_path: Path, seeded: SignedRepository, origin: Origin, clock: Clock) -> Start:
    """Return a function that starts a client, always with the same cache."""

    def make(seed: Seed | None = SEED, *, allow_weakening: bool = False) -> UpdateClient:
        return UpdateClient(
            [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
            root=seeded.root_bytes,
            cache=Cache(tmp_path / "cache"),
            seed=seed,
            allow_weakening=allow_weakening,
            clock=clock,
        )

    return make
