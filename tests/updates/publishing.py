"""What a publisher does, in so few lines that other processes can run it too."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from holdfast.errors import UpdateError
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.host_publisher import HostPublisher
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from tests.updates.client import CHANGES
from tests.updates.seeded import policy
from tests.updates.signed_repository import NOW

HOST = "api.example.com"  # which the policy covers
Keys = dict[str, list[bytes]]


def new_keys(number: int) -> list[bytes]:
    """Make private keys."""
    return [Ed25519PrivateKey.generate().private_bytes_raw() for _ in range(number)]


def signers_of(keys: list[bytes]) -> list[CryptoSigner]:
    """Return what signs with some keys."""
    return [CryptoSigner(Ed25519PrivateKey.from_private_bytes(key)) for key in keys]


def numbered(number: int) -> Policy:
    """Return a policy that no other number has; from each to the next more than pins changes."""
    return policy(Pin.of_spki(f"leaf {number}".encode()), strict=number % 2 == 0)


@dataclass(frozen=True)
class Publishing:
    """A repository on the disk, and all of its keys."""

    folder: Path
    keys: Keys
    now: datetime = NOW

    @classmethod
    def begun(cls, folder: Path) -> Publishing:
        """Make a repository for two people, with a policy."""
        rules = PROFILES["small"]
        made = cls(folder, {role: new_keys(rule.keys) for role, rule in rules.items()})
        signers = {role: signers_of(keys) for role, keys in made.keys.items()}
        Publisher.created(folder, signers, rules, NOW)
        made.publish(0)
        return made

    def opened(self) -> Publisher:
        """Open it with all keys."""
        signers = [one for keys in self.keys.values() for one in signers_of(keys)]
        known = {one.public_key.keyid: one for one in signers}
        return Publisher.opened(self.folder, known, self.now)

    def publish(self, number: int) -> None:
        """Publish a numbered policy with the keys of all roles that a policy takes."""
        self.opened().publish(numbered(number), refresh=timedelta(hours=1), rules=True)

    def rotate(self, role: str, keys: list[bytes]) -> None:
        """Give a role new keys."""
        self.opened().rotate_keys(role, signers_of(keys))

    @property
    def files(self) -> Mapping[str, bytes]:
        """What a web server serves at this moment."""
        return Folder(self.folder)


class Folder(Mapping[str, bytes]):
    """The files of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Name the folder."""
        self._folder = folder

    def __getitem__(self, path: str) -> bytes:
        """Return a file."""
        try:
            return (self._folder / path).read_bytes()
        except OSError:
            raise KeyError(path) from None

    def __iter__(self) -> Iterator[str]:
        """List the files."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return (path.relative_to(self._folder).as_posix() for path in files)

    def __len__(self) -> int:
        """Count the files."""
        return sum(1 for _ in self)


def publish_forever(publishing: Publishing, first: int, told: Connection) -> None:
    """Publish until killed, and tell each number before it is published."""
    for number in itertools.count(first):
        told.send(number)
        publishing.publish(number)


def publish_often(publishing: Publishing, numbers: list[int], told: Connection) -> None:
    """Publish some numbers and sign again each time; tell what went wrong."""
    failures = []
    for number in numbers:
        try:
            with Publisher.locked(publishing.folder, _signers(publishing), NOW) as publisher:
                publisher.publish(numbered(number), refresh=timedelta(hours=1), rules=True)
            with Publisher.locked(publishing.folder, _signers(publishing), NOW) as publisher:
                publisher.resign()
        except Exception as error:  # noqa: BLE001  any would be one too many
            failures.append(repr(error))
    told.send(failures)


def publish_in_step(
    publishing: Publishing, work: Callable[[Publisher], object], way: Connection
) -> None:
    """Open, work, and stop between the bins and what names them; tell each step and the end."""
    for name in ("change", "sign_again"):
        setattr(HostPublisher, name, _stopping(getattr(HostPublisher, name), way))
    publisher = publishing.opened()
    way.send("opened")
    way.recv()
    try:
        work(publisher)
        way.send("published")
    except UpdateError as error:
        way.send(str(error))


def _stopping(writing: Callable[..., int], way: Connection) -> Callable[..., int]:
    def stop(publisher: HostPublisher, *args: Any, **settings: Any) -> int:  # noqa: ANN401  passed on
        done = writing(publisher, *args, **settings)
        way.send("wrote bins")
        way.recv()
        return done

    return stop


def pin_host(name: str, publisher: Publisher) -> None:
    """Publish pins of the one host, that can be told apart."""
    publisher.publish_hosts({HOST: host_pins(name)}, changes=True)


def host_pins(name: str) -> HostPins:
    """Return pins of a name."""
    leaf, backup = (Pin.of_spki(f"{which} {name}".encode()) for which in ("leaf", "backup"))
    return HostPins(leaf=(leaf,), backup=(backup,))


def rotate_pins(key: bytes, publisher: Publisher) -> None:
    """Give the role `pins` another key."""
    publisher.rotate_keys("pins", signers_of([key]))


def resign(publisher: Publisher) -> None:
    """Sign again what is due."""
    publisher.resign()


def _signers(publishing: Publishing) -> dict[str, CryptoSigner]:
    signers = [one for keys in publishing.keys.values() for one in signers_of(keys)]
    return {one.public_key.keyid: one for one in signers}


def die_at(publishing: Publishing, step: int, number: int, work: Callable[[], None]) -> None:
    """Work, and send oneself a signal before the given change of a file of the repository."""
    sys.addaudithook(_dying_at(str(publishing.folder), step, number))
    work()


def _dying_at(folder: str, step: int, number: int) -> Callable[[str, tuple[Any, ...]], None]:
    left = step

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        is_change = event in CHANGES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))
        if is_change and str(args[0]).startswith(folder):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), number)

    return count
