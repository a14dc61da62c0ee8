"""A published repository with the pins of single hosts, and clients that follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, Targets

from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publisher import HostPublication, Publisher
from holdfast.updates.repository import Repository
from holdfast.updates.roles import PROFILES
from holdfast.updates.signed_hosts import Wanted
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW

HOUR = timedelta(hours=1)
RULES = PROFILES["small"]
ONLINE = ("snapshot", "timestamp")
SET = PinSet(
    name="many",
    hosts=(HostPattern.parse("**.example.com"),),
    mode=Mode.ENFORCE,
    leaf=(Pin.of_spki(b"set"),),
    backup=(Pin.of_spki(b"backup of the set"),),
)


def policy_of(*sets: PinSet) -> Policy:
    """Return a policy of these sets."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=sets)


def host(number: int) -> str:
    """Return a host that the set covers."""
    return f"h{number}.example.com"


def pins(name: str) -> HostPins:
    """Return pins that can be told apart."""
    return HostPins(
        leaf=(Pin.of_spki(name.encode()),), backup=(Pin.of_spki(f"backup {name}".encode()),)
    )


@dataclass
class HostRepository:
    """A repository in a folder with all its keys, and the origin that serves it."""

    folder: Path
    origin: Origin
    now: datetime = NOW
    keys: dict[str, list[Signer]] = field(
        default_factory=lambda: {
            role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
            for role, rule in RULES.items()
        }
    )

    def __post_init__(self) -> None:
        """Publish a policy of one set."""
        self.root = Publisher.created(self.folder, self.keys, RULES, self.now).root
        self.publisher().publish(policy_of(SET), refresh=HOUR, rules=True)

    @property
    def signers(self) -> dict[str, Signer]:
        """All keys."""
        return {one.public_key.keyid: one for several in self.keys.values() for one in several}

    def publisher(self) -> Publisher:
        """Open it with all keys."""
        return Publisher.opened(self.folder, self.signers, self.now)

    def publish(
        self,
        hosts: Mapping[str, HostPins | None],
        *,
        changes: bool = False,
        index: bool | None = None,
    ) -> HostPublication:
        """Publish host pins, and serve what there is."""
        done = self.publisher().publish_hosts(hosts, changes=changes, index=index)
        self.serve()
        return done

    def serve(self) -> None:
        """Serve what is in the folder."""
        self.origin.files = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def metadata(self, role: str) -> Metadata[Any]:
        """Return the newest metadata of a role."""
        paths = (self.folder / "metadata").glob(f"*.{role}.json")
        newest = max(paths, key=lambda path: int(path.name.partition(".")[0]))
        return Metadata.from_file(str(newest))

    def role_of(self, name: str) -> str:
        """Return the bin of a host."""
        delegations = self.metadata("pins").signed.delegations
        role: str = delegations.succinct_roles.get_role_for_target(f"pins/host={name}")
        return role

    def forge(
        self, role: str, change: Callable[[Targets], object], keys: list[Signer] | None = None
    ) -> None:
        """Publish a bin that somebody with the keys of `pins` and the online ones has changed.

        Args:
            role: The bin.
            change: Changes what is signed.
            keys: Other keys to sign the bin with.
        """
        metadata = self.metadata(role)
        metadata.signed.version += 1
        metadata.signatures.clear()
        change(metadata.signed)
        repository = Repository.opened(self.folder, self.signers, self.now)
        repository.write_delegated("pins", [(role, metadata)])
        if keys is not None:
            metadata.signatures.clear()
            for key in keys:
                metadata.sign(key, append=True)
            path = self.folder / "metadata" / f"{metadata.signed.version}.{role}.json"
            path.write_bytes(metadata.to_bytes())
        repository.write(ONLINE)
        self.serve()

    def forge_pins(self, change: Callable[[Targets], object]) -> None:
        """Publish the role `pins` as a thief of its key has changed it."""
        repository = Repository.opened(self.folder, self.signers, self.now)
        change(repository.signed("pins"))
        repository.write(("pins", *ONLINE))
        self.serve()

    def withhold(self, part: str) -> None:
        """Serve nothing whose path has this in it."""
        self.origin.files = {
            path: content for path, content in self.origin.files.items() if part not in path
        }

    def client(
        self,
        cache: Path,
        *hosts: str,
        every_host: bool = False,
        mirrors: tuple[Origin, ...] = (),
        later: timedelta = timedelta(),
    ) -> UpdateClient:
        """Start a client that follows some hosts."""
        return UpdateClient(
            [
                OriginFetcher(one.url, None, plain_http=True, deadline=10, gap=5)
                for one in (self.origin, *mirrors)
            ],
            root=self.root,
            cache=Cache(cache),
            wanted=Wanted(frozenset(hosts), every_host),
            clock=lambda: self.now + later,
        )


def rule(client: UpdateClient, name: str) -> HostPins | None:
    """Return the pins by which a client judges a host now; None for an unlisted one."""
    pin_set = client.current().pin_set_for(name)
    if pin_set is None:
        return None
    return HostPins(leaf=pin_set.leaf, backup=pin_set.backup, ca=pin_set.ca)


OF_THE_SET = HostPins(leaf=SET.leaf, backup=SET.backup)
