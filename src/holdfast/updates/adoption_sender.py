"""Telling which policy a client has: after a change of it, and else once a day.

1. It is in the way of nothing: a thread of its own does it, in one attempt with a deadline, and
   what goes wrong is logged and dropped. While one report is on its way there is no second one.
2. Processes that share a cache are one installation, and one of them tells. What was told is
   remembered before it is sent: a collector that is down is not asked again until the next day.
3. It goes the way that updates come: https to a known host, no redirects, no proxy.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import CacheError, UpdateError
from holdfast.findings.escape import escaped
from holdfast.pins.interfaces import OwnChannel
from holdfast.updates.adoption import (
    SIGNATURE_HEADER,
    Adoption,
    Report,
    installation_name,
    report_to_bytes,
    signature_of,
)
from holdfast.updates.fetcher import NAME, OriginFetcher

if TYPE_CHECKING:
    from holdfast.updates.cache import Cache
    from holdfast.updates.client import UpdateClient
    from holdfast.updates.freshness import State
    from holdfast.updates.in_force import InForce

__all__ = ["AdoptionSender"]

_DAY = timedelta(days=1)
_TEXT_LIMIT = 200  # characters
_DEADLINE = 10.0  # seconds, for a report from connecting to the answer
_log = logging.getLogger("holdfast.updates")


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a client stood at one moment."""

    in_force: InForce
    state: State
    installation: bytes
    now: datetime


class AdoptionSender:
    """Tells one collector about one client."""

    def __init__(
        self,
        adoption: Adoption,
        cache: Cache,
        channel: OwnChannel | None,
        *,
        plain_http: bool = False,
        deadline: float = _DEADLINE,
    ) -> None:
        """Name the collector; it is connected to when there is something to tell.

        Args:
            adoption: Where to, and as whom.
            cache: Keeps the installation value, and what was told.
            channel: The way to an https address.
            plain_http: Allow an http address, for tests.
            deadline: Seconds that a report may take.

        Raises:
            UpdateError: The address is none, or the channel to it is missing.
        """
        folder, _, self._name = adoption.url.rpartition("/")
        if "//" not in folder or not NAME.fullmatch(self._name):
            raise UpdateError(
                f"{escaped(adoption.url, _TEXT_LIMIT)} is no address to post to",
                hint="write https://HOST/PATH, without a slash at its end",
            )
        # A new one for each report: a forked child must not write into its parent's connection.
        self._collector = partial(
            OriginFetcher, folder, channel, plain_http=plain_http, deadline=deadline, gap=deadline
        )
        self._collector()  # refuses a wrong address now; it does not connect
        self._adoption, self._cache = adoption, cache
        self._told: tuple[datetime, str] | None = None
        self._thread: threading.Thread | None = None
        self._has_failed = False

    def note(self, client: UpdateClient) -> None:
        """Tell how a client stands if that is due, in a thread; it neither waits nor raises."""
        if self._thread is not None and self._thread.is_alive():
            return
        seen = _Seen(client.in_force, client.state, client.installation, client.now)
        if not _is_due(self._told, seen.now, _what(seen.in_force)):
            return
        self._thread = threading.Thread(
            target=self._tell, args=(seen,), name="holdfast-adoption", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread is to be had
            self._thread = None
            self._log_failure(str(error))

    def _tell(self, seen: _Seen) -> None:
        try:
            installation = self._claim(seen)
            if installation is not None:
                self._post(seen, installation)
                self._has_failed = False
        except Exception as error:  # noqa: BLE001  rule 1, whatever it is
            self._log_failure(str(error) or type(error).__name__)

    def _claim(self, seen: _Seen) -> bytes | None:
        """Return the installation value if it is for this process to tell, and remember that."""
        application, what = self._adoption.application, _what(seen.in_force)
        self._told = seen.now, what
        try:
            with self._cache.refreshing() as work:
                if not _is_due(work.told(application), seen.now, what):
                    return None
                work.keep_told(application, seen.now, what)
                return work.installation(seen.installation)
        except CacheError as error:
            _log.debug("what is told of adoption is remembered by this process only: %s", error)
            return seen.installation

    def _post(self, seen: _Seen, installation: bytes) -> None:
        application = self._adoption.application
        body = report_to_bytes(
            Report(
                application=application,
                installation=installation_name(installation, application, seen.now),
                epoch=seen.in_force.epoch,
                serial=seen.in_force.serial,
                candidate=seen.in_force.is_candidate,
                state=seen.state,
                sent=seen.now,
            )
        )
        headers = {
            "content-type": "application/json",
            SIGNATURE_HEADER: signature_of(body, self._adoption.key),
        }
        with closing(self._collector()) as way:
            way.post(self._name, body, headers)

    def _log_failure(self, reason: str) -> None:
        level = logging.DEBUG if self._has_failed else logging.INFO
        self._has_failed = True
        _log.log(level, "adoption was not told: %s", reason)


def _what(in_force: InForce) -> str:
    """Return what makes a report due when it changes."""
    return f"{in_force.epoch} {in_force.serial} {in_force.is_candidate}"


def _is_due(told: tuple[datetime, str] | None, now: datetime, what: str) -> bool:
    """Tell whether something is to be told. A clock that was set back does not silence it."""
    return told is None or told[1] != what or abs(now - told[0]) >= _DAY
