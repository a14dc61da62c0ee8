"""What a client does with the cache, in so few lines that other processes can run them too."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holdfast.errors import CacheError
from holdfast.updates.cache import Cache, Loaded
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import Floor
from holdfast.updates.generations import Generation
from holdfast.updates.signed_files import SignedFiles
from holdfast.updates.working_copy import fetch, verify_kept
from tests.updates.signed_repository import NOW


def serial_of(files: SignedFiles) -> int:
    """Return the serial of the pins."""
    serial: int = json.loads(files.pins.content)["serial"]
    return serial


@dataclass(frozen=True)
class Client:
    """A client of one origin with one cache."""

    folder: Path
    url: str
    root: bytes
    now: datetime = NOW

    @property
    def cache(self) -> Cache:
        """Its cache."""
        return Cache(self.folder)

    def refresh(self, deadline: float = 60) -> int:
        """Fetch, seal, remember; return the serial that is in force."""
        with self.cache.refreshing(deadline) as work:
            files = fetch(
                [OriginFetcher(self.url, None, plain_http=True)],
                root=self.root,
                now=self.now,
                metadata=work.metadata,
                targets=work.targets,
            )
            work.seal(self.now, self.verify)
            work.raise_floor(Floor(files.epoch, serial_of(files), self.now))
            work.deny(["sha256/denied"])
            return serial_of(files)

    def verify(self, generation: Generation) -> SignedFiles:
        """Verify a generation as of the time at which it was sealed."""
        return verify_kept(
            root=self.root,
            now=generation.verified_at,
            metadata=generation.metadata,
            targets=generation.targets,
        )

    def load(self) -> Loaded[SignedFiles] | None:
        """Return what is in force."""
        return self.cache.load(self.verify)

    def serial(self) -> int:
        """Return the serial in force, which has to be there and undamaged."""
        loaded = self.load()
        assert loaded is not None
        assert () == loaded.rejected
        return serial_of(loaded.value)


def refresh_forever(client: Client, told: Connection) -> None:
    """Refresh until killed, and tell each serial that is in force."""
    while True:
        told.send(client.refresh())


def refresh_often(client: Client, times: int, told: Connection) -> None:
    """Refresh some times, and tell what went wrong."""
    told.send(failures_of(client, times))


def failures_of(client: Client, times: int) -> list[str]:
    """Refresh some times, and return what went wrong."""
    failures = []
    for _ in range(times):
        try:
            client.refresh()
        except Exception as error:  # noqa: BLE001  any would be one too many
            failures.append(repr(error))
    return failures


def fork_while_refreshing(client: Client, told: Connection) -> None:
    """Fork with the lock held, and tell whether it is free when the refresh is over."""
    with client.cache.refreshing():
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    try:
        with client.cache.refreshing(0.2):
            told.send("free")
    except CacheError as error:
        told.send(str(error))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def die_at(client: Client, step: int) -> None:
    """Refresh, and die before the given change of a file or folder of the cache."""
    sys.addaudithook(dying_at(str(client.folder), step))
    client.refresh()


CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}


def dying_at(folder: str, step: int) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that ends the process before the given change below a folder."""
    left = step

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event in CHANGES or (
            event == "open"
            and str(args[0]).startswith(folder)
            and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            left -= 1
            if left < 0:
                os._exit(9)

    return count
