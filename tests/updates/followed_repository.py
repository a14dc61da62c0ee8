"""A published repository with all its keys, and a client that follows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer import Signer

from holdfast.pins.pin import Pin
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publisher import Publisher
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW

HOUR = timedelta(hours=1)
OTHER = Pin.of_spki(b"other")
Keys = dict[str, list[Signer]]
Opened = Callable[..., Publisher]


class Follower(UpdateClient):
    """A client without a seed that follows what is published, as a web server would serve it."""

    def __init__(self, folder: Path, origin: Origin, root: bytes, cache: Path) -> None:
        """Follow a folder."""
        self._folder, self._origin = folder, origin
        super().__init__(
            [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
            root=root,
            cache=Cache(cache),
            clock=lambda: NOW,
        )

    def _renew(self) -> None:
        self._origin.files = {
            path.relative_to(self._folder).as_posix(): path.read_bytes()
            for path in self._folder.rglob("*")
            if path.is_file()
        }
        super()._renew()
