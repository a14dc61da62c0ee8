"""An application that follows signed updates, with real TLS to a real origin."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast import Policy, UpdatedPolicy
from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin
from holdfast.updates.document import DenyList, deny_list_to_bytes
from tests.updates.client import dying_at
from tests.updates.origin import Origin
from tests.updates.seeded import bundle, policy
from tests.updates.signed_repository import SignedRepository


def pin(serial: int) -> Pin:
    """Return the leaf's pin in the bundle of this serial."""
    return Pin.of_spki(b"leaf %d" % serial)


class PinRepository(SignedRepository):
    """A repository whose bundles a client accepts, each with a leaf pin of its own."""

    empty_deny_list = deny_list_to_bytes(DenyList(serial=1))

    def bundle(self, serial: int) -> bytes:
        """Return the pins of a serial."""
        return bundle(serial, policy(pin(serial)))

    def deny(self, *pins: Pin) -> None:
        """Put these keys, and no others, on the deny list of the next publication."""
        self.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset(pins))))


@dataclass(frozen=True)
class Application:
    """What is shipped, where it looks for updates, and its cache. Other processes can be given it.

    Attributes:
        folder: Of all its files.
        urls: The repository, then its mirrors.
    """

    folder: Path
    urls: tuple[str, ...]

    @property
    def cache(self) -> Path:
        """The folder of its cache."""
        return self.folder / "cache"

    def start(self, **settings: Any) -> UpdatedPolicy:  # noqa: ANN401  passed on
        """Start it, with a deadline that lets faults end soon."""
        return UpdatedPolicy(
            **{
                "root": self.folder / "root.json",
                "seed": self.folder / "seed.json",
                "url": self.urls[0],
                "mirrors": self.urls[1:],
                "cache": self.cache,
                "channel": VerifiedChannel("localhost", public_anchors=self.folder / "origin.pem"),
                "background": False,
                **settings,
            }
        )

    def ship(self, serial: int, content: Policy | None = None, epoch: int = 1) -> None:
        """Put another seed into its build."""
        data = json.loads(bundle(serial, content or policy(pin(serial))))
        seed = {"format": 1, "epoch": epoch, "bundle": data}
        (self.folder / "seed.json").write_text(json.dumps(seed))


class Followed:
    """A repository, its origin, and an application whose seed is the first bundle."""

    def __init__(self, folder: Path) -> None:
        """Make all of it; nothing is published but the first bundle."""
        self._running = ExitStack()
        self._authority = Authority.new("CA of the origin")
        self._folder = folder
        (folder / "origin.pem").write_text(self._authority.pem)
        self.repository = PinRepository(now=datetime.now(UTC))
        (folder / "root.json").write_bytes(self.repository.root_bytes)

    def __enter__(self) -> Self:
        """Serve."""
        self.origin = self.serve(self.repository.files)
        self.application = Application(self._folder, (self.origin.url,))
        self.application.ship(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self._running.close()

    def serve(self, files: dict[str, bytes]) -> Origin:
        """Serve other files, in the name of the same host."""
        return self._running.enter_context(Origin(files, self._authority.issue("localhost")))

    def followed_to(self, serial: int) -> UpdatedPolicy:
        """Publish up to a serial, and return an application that has followed."""
        running = self.application.start()
        while self.repository.serial < serial:
            self.repository.publish()
        assert_follows(running, serial)
        return running

    def assert_refused(
        self, running: UpdatedPolicy, reason: str, serial: int, *, deadline: float | None = None
    ) -> None:
        """Check that a refresh changes no pin, here or after a restart, and says why."""
        if deadline is not None:
            running._client._deadline = deadline
        answer = running.refresh()
        assert not answer.succeeded
        assert re.search(reason, answer.reason), answer.reason
        for one in (running, self.application.start()):
            assert_in_force(one, serial)


def assert_in_force(running: UpdatedPolicy, serial: int) -> None:
    """Check which pins are in force."""
    leaf = running.current().pin_sets[0].leaf
    assert (serial, (pin(serial),)) == (running.in_force.serial, leaf)


def assert_follows(running: UpdatedPolicy, serial: int) -> None:
    """Check that a refresh puts these pins in force, and that nothing is wrong then."""
    answer = running.refresh()
    assert answer.succeeded, answer.reason
    assert_in_force(running, serial)
    assert ("fresh", ()) == (running.state, running.in_force.notes)


def at(running: UpdatedPolicy, time: Callable[[], datetime]) -> UpdatedPolicy:
    """Give an application a clock."""
    running._client._clock = time
    return running


def changed(content: Policy, **fields: Any) -> Policy:  # noqa: ANN401  passed on
    """Return a policy with another first set."""
    return replace(content, pin_sets=(replace(content.pin_sets[0], **fields),))


def follow_forever(application: Application, told: Connection) -> None:
    """Refresh until killed, and tell each serial that is in force."""
    running = application.start()
    while True:
        answer = running.refresh()
        told.send(running.in_force.serial if answer.succeeded else answer.reason)


def follow_some_times(running: UpdatedPolicy, times: int) -> tuple[int, list[object]]:
    """Refresh some times; return how often that went well, and what went wrong.

    It is not wrong that others had the cache for longer than one waits for it.
    """
    problems: list[object] = []
    succeeded = 0
    for _ in range(times):
        before = running.in_force.serial
        answer = running.refresh()
        succeeded += answer.succeeded
        if not answer.succeeded and "is being refreshed by another" not in answer.reason:
            problems.append(answer.reason)
        if running.in_force.serial < before:
            problems.append((before, running.in_force.serial))
    return succeeded, problems


def follow_often(application: Application, times: int, told: Connection) -> None:
    """Do so in a process of its own."""
    told.send(follow_some_times(application.start(), times))


def die_following(application: Application, step: int) -> None:
    """Refresh, and die before the given change of a file or folder of the cache."""
    running = application.start()
    sys.addaudithook(dying_at(str(application.cache), step))
    running.refresh()
