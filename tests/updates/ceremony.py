"""A repository whose offline roles are signed by three people, each with one key."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey
from tuf.api.metadata import Metadata, Root

from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.key_card import OWNER_FIELD
from holdfast.updates.publisher import Publisher
from holdfast.updates.request import Request
from holdfast.updates.roles import OFFLINE, PROFILES, ROLES
from holdfast.updates.signing import sign_request
from holdfast.updates.staged_repository import read_request
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW

HOUR = timedelta(hours=1)
PEOPLE = ("alice", "bob", "carol")
RULES = {**PROFILES["saas"], "emergency": PROFILES["saas"]["targets"]}


def signer_of(owner: str) -> Signer:
    """Make a key with a name on it."""
    key = Ed25519PrivateKey.generate()
    public = SSlibKey.from_crypto(key.public_key())
    public.unrecognized_fields[OWNER_FIELD] = owner
    return CryptoSigner(key, public)


def by_id(*signers: Signer) -> dict[str, Signer]:
    """Return keys as they are handed around."""
    return {one.public_key.keyid: one for one in signers}


def followed(folder: Path, root: bytes, cache: Path, now: datetime) -> UpdateClient:
    """Return a client that knows a root and has taken what a repository serves now."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    with Origin(files) as origin:
        client = UpdateClient(
            [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
            root=root,
            cache=Cache(cache),
            clock=lambda: now,
        )
        refreshed = client.refresh()
    assert refreshed.succeeded, refreshed.reason
    return client


class Ceremony:
    """The repository, the people, and the machine that signs the online roles."""

    def __init__(self, folder: Path) -> None:
        """Make it, signed by alice and bob."""
        self.folder, self._requests = folder / "repository", folder / "requests"
        self._requests.mkdir()
        self._numbers = count(1)
        self.people = {name: signer_of(name) for name in PEOPLE}
        self.online = {role: signer_of(f"{role}-1") for role in ROLES if role not in OFFLINE}
        self.keys = {
            role: list(self.people.values()) if role in OFFLINE else [self.online[role]]
            for role in ROLES
        }
        Publisher.created(self.folder, self.keys, RULES, NOW)

    @property
    def machine(self) -> dict[str, Signer]:
        """The keys that are online."""
        return by_id(*self.online.values())

    @property
    def root(self) -> Metadata[Root]:
        """The root metadata that everybody knows."""
        return Metadata.from_file(str(self.folder / "metadata" / "1.root.json"))

    def opened(self, now: datetime = NOW) -> Publisher:
        """Open it with all keys, as if everybody sat at one machine."""
        return Publisher.opened(self.folder, self.machine | by_id(*self.people.values()), now)

    def staged(
        self,
        change: Callable[[Publisher], object],
        *names: str,
        machine: bool = True,
        now: datetime = NOW,
    ) -> Request:
        """Stage a change, and let people sign it."""
        file = self._requests / f"{next(self._numbers)}.json"
        change(Publisher.opened(self.folder, self.machine if machine else {}, now, file))
        return self.signed(read_request(file), *names)

    def signed(self, request: Request, *names: str) -> Request:
        """Let people sign a copy."""
        copy = deepcopy(request)
        for name in names:
            assert sign_request(copy, by_id(self.people[name]))
        return copy

    def publish(self, *requests: Request, now: datetime = NOW) -> tuple[str, ...]:
        """Publish copies of a request on the machine that is online."""
        return Publisher.publish_requests(self.folder, requests, self.machine, now)
