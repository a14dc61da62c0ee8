"""What following signed updates costs: starting offline, an idle refresh, and publish to enforced.

The origin is an HTTP server on loopback in this process. The peer is `Updater` of python-tuf with
its own fetcher, which does what a refresh cannot do without. Bodies are counted as they are served.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from _interleaved import compare, timed
from securesystemslib.signer import CryptoSigner
from tuf.ngclient import Updater, UpdaterConfig

from holdfast import HostPattern, Mode, Pin, PinSet, Policy, Unlisted
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES

_HOSTS = 200


class Origin(ThreadingHTTPServer):
    """Serves a folder, and counts."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.requests = self.bytes = 0
        origin = self

        class Handler(SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def send_header(self, keyword: str, value: str) -> None:
                if keyword == "Content-Length" and not self.path.endswith("/"):
                    origin.requests += 1
                    origin.bytes += int(value)
                super().send_header(keyword, value)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/"


def _policy(generation: int) -> Policy:
    return Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=tuple(
            PinSet(
                name=f"set-{number}",
                hosts=(HostPattern.parse(f"host-{number}.example.com"),),
                mode=Mode.ENFORCE,
                leaf=(Pin.of_spki(f"{generation} {number}".encode()),),
                backup=(Pin.of_spki(f"backup {number}".encode()),),
            )
            for number in range(_HOSTS)
        ),
    )


def _peer(origin: Origin, root: bytes, folder: Path) -> Callable[[], object]:
    metadata, targets = folder / "metadata", folder / "targets"
    for one in (metadata, targets):
        one.mkdir(parents=True)

    def refresh() -> object:
        updater = Updater(
            str(metadata),
            f"{origin.url}metadata/",
            str(targets),
            f"{origin.url}targets/",
            bootstrap=root,
            config=UpdaterConfig(prefix_targets_with_hash=True),
        )
        updater.refresh()
        return updater.get_targetinfo("pins/bundle.json")

    return refresh


def measure(folder: Path, rounds: int) -> None:
    """Measure everything with one repository."""
    keys: dict[str, list[Any]] = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in PROFILES["saas"].items()
    }
    publisher = Publisher.created(folder / "served", keys, PROFILES["saas"], datetime.now(UTC))
    hour = timedelta(hours=1)
    publisher.publish(_policy(0), refresh=hour, rules=True)
    origin = Origin(folder / "served")

    def client(cache: Path) -> UpdateClient:
        return UpdateClient(
            [OriginFetcher(origin.url, None, plain_http=True)],
            root=publisher.root,
            cache=Cache(cache),
        )

    following = client(folder / "cache")
    assert following.refresh().succeeded
    peer = _peer(origin, publisher.root, folder / "peer")
    peer()
    before = origin.requests, origin.bytes
    assert following.refresh().succeeded
    print(f"idle refresh: {origin.requests - before[0]} answers, {origin.bytes - before[1]} bytes")
    compare(
        f"idle refresh, {_HOSTS} hosts",
        {"python-tuf alone": timed(peer), "holdfast": timed(following.refresh)},
        rounds,
    )
    compare(
        f"offline start, {_HOSTS} hosts",
        {"holdfast": timed(lambda: client(folder / "cache"))},
        rounds,
    )
    generation = iter(range(1, 10_000))

    def publish_and_enforce() -> None:
        serial = publisher.publish(_policy(next(generation)), refresh=hour).serial
        assert following.refresh().succeeded
        assert following.in_force.serial == serial

    compare(
        f"publish to enforced, {_HOSTS} hosts",
        {"holdfast": timed(publish_and_enforce)},
        max(rounds // 4, 10),
        warm_up=2,
    )
    origin.shutdown()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    rounds = 40 if parser.parse_args().quick else 200
    folder = Path(tempfile.mkdtemp())
    try:
        measure(folder, rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
