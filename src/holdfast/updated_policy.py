"""`UpdatedPolicy`: a policy that follows signed updates. Where the parts are put together.

policy = holdfast.UpdatedPolicy(
root="root.json", seed="seed.json", url="https://pins.example.com/"
)
client = httpx.Client(verify=holdfast.PinningContext(policy))
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from holdfast.errors import HostNameError, UpdateError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin_set import Mode
from holdfast.pins.verdict import Outcome
from holdfast.updates.adoption import Adoption

if TYPE_CHECKING:
    from holdfast.pins.interfaces import OwnChannel
    from holdfast.pins.policy import Policy
    from holdfast.pins.verdict import Verdict, Violation
    from holdfast.updates.client import Refreshed
    from holdfast.updates.freshness import State
    from holdfast.updates.in_force import InForce

__all__ = ["Adoption", "UpdatedPolicy"]


class UpdatedPolicy:
    """A `PolicySource` that follows signed updates, from the shipped seed on.

    A start needs no network: the cache is verified again, or the seed is in force. Updates come in
    the background; one that does not verify, is older, or changes more than its signers may,
    changes nothing, and is logged on `holdfast.updates`.
    """

    def __init__(  # noqa: PLR0913 (keywords, each a setting of its own)
        self,
        *,
        root: str | os.PathLike[str],
        url: str,
        seed: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        mirrors: Sequence[str] = (),
        channel: OwnChannel | None = None,
        allow_weakening: bool = False,
        background: bool = True,
        deadline: float = 120.0,
        adoption: Adoption | None = None,
        hosts: Sequence[str] | Literal["every"] = (),
    ) -> None:
        """Load what is kept, and begin to follow.

        Args:
            root: The file of the root metadata, shipped with the application.
            url: The https address of the repository.
            seed: The file of the policy that was shipped with it. Without one nothing can be
                connected to before the first update.
            cache: A folder of this user alone, kept between runs; by default one in the user's
                state folder, for this root.
            mirrors: Further addresses of the repository.
            channel: The way there, and to where adoption is told; by default one that is verified
                as usual, to these hosts only.
            allow_weakening: Whether those who hold the offline keys may weaken the seed.
            background: Whether to refresh without being told to.
            deadline: Seconds that a refresh may take at each address, however slow it is there.
            adoption: Where to tell which policy is in force; by default nobody is told.
            hosts: The hosts whose own pins are followed, where the repository has pins for single
                hosts; the others are judged by the pins of their sets. "every" follows all of
                them, in one large file, as a gateway needs.

        Raises:
            PolicyError: The seed has a mistake.
            HostNameError: A host is none.
            UpdateError: The root cannot be read, an address is none, or a package is missing.
            CacheError: There is no place for a cache.
            TrustStoreError: The platform has no trust anchors.
        """
        try:
            from holdfast.updates.adoption_sender import AdoptionSender
            from holdfast.updates.cache import Cache
            from holdfast.updates.client import UpdateClient
            from holdfast.updates.fetcher import OriginFetcher
            from holdfast.updates.refresher import Refresher
            from holdfast.updates.seed import load_seed
            from holdfast.updates.signed_hosts import Wanted
        except ModuleNotFoundError as missing:
            raise UpdateError(
                f"signed updates need the package {missing.name}",
                hint="pip install 'holdfast[updates]'",
            ) from missing
        wanted = Wanted(every_host=True) if hosts == "every" else Wanted(_canonical(hosts))
        urls = (url, *mirrors)
        channel = channel or _channel_to(urls if adoption is None else (*urls, adoption.url))
        data = _root_bytes(root)
        kept = Cache(Path(cache) if cache is not None else _folder_for(data))
        sender = None if adoption is None else AdoptionSender(adoption, kept, channel)
        self._client = UpdateClient(
            [OriginFetcher(address, channel) for address in urls],
            root=data,
            cache=kept,
            seed=None if seed is None else load_seed(seed, datetime.now(UTC)),
            allow_weakening=allow_weakening,
            deadline=deadline,
            after_refresh=(lambda _: None) if sender is None else sender.note,
            wanted=wanted,
        )
        self._refresher = Refresher(self._client)
        self._is_followed = background
        if background:
            self._refresher.begin()

    def current(self) -> Policy:
        """Return the policy of the moment.

        Raises:
            UpdateError: There is none yet, or it has expired and refuses everything then.
        """
        return self._client.current()

    def refresh(self) -> Refreshed:
        """Ask for updates now, and wait for them. It raises nothing; the answer says what came."""
        return self._client.refresh()

    def follow(self, *hosts: str) -> None:
        """Follow the own pins of more hosts, from the next refresh on.

        That is brought forward, at most once in five minutes.

        Until then they are judged by the pins of their sets.

        Raises:
            HostNameError: A host is none.
        """
        self._client.follow(_canonical(hosts))
        if self._is_followed:
            self._refresher.hint()

    def note_violation(self, violation: Violation) -> None:
        """Bring the next update forward: the pins may have changed. Nothing waits for it.

        What is reported each time although no pin is wrong, an unlisted host or the use of a local
        exception, does not: it would be the pace for as long as it lasts, and leave no update for a
        mismatch.
        """
        if self._is_followed and _may_have_changed(violation.verdict):
            self._refresher.hint()

    @property
    def state(self) -> State:
        """How far the policy can be relied on to be the newest."""
        return self._client.state

    @property
    def in_force(self) -> InForce:
        """What is in force, with what is wrong about it."""
        return self._client.in_force


def _may_have_changed(verdict: Verdict) -> bool:
    """Tell whether newer pins may be the answer to a violation."""
    if not verdict.allowed or verdict.outcome is Outcome.EXPIRED:
        return True
    return verdict.outcome is Outcome.MISMATCH and verdict.mode is Mode.REPORT_ONLY


def _canonical(hosts: Sequence[str]) -> frozenset[str]:
    if isinstance(hosts, str):
        raise HostNameError("`hosts` is one text", hint='write a list of hosts, or "every"')
    return frozenset(map(canonical_host, hosts))


def _channel_to(urls: Sequence[str]) -> OwnChannel:
    from holdfast.enforcement.own_channel import VerifiedChannel

    try:
        return VerifiedChannel(*(urlsplit(url).hostname or "" for url in urls))
    except (HostNameError, ValueError) as error:
        raise UpdateError(f"this is no address: {error}", hint="write https://HOST/PATH") from None


def _root_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UpdateError(
            f"{os.fspath(path)} cannot be read: {error.strerror}",
            hint="ship the root metadata of the repository with the application",
        ) from error


def _folder_for(root: bytes) -> Path:
    from holdfast.updates.cache import state_folder

    return state_folder(os.environ) / "updates" / hashlib.sha256(root).hexdigest()[:16]
