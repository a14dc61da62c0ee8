"""Accepted connections, so that a policy which changes can end those that it would refuse now.

1. Weak: a connection that nobody else holds is gone from here too.
2. Only sources that can change are watched. A `Policy` cannot, and costs nothing.
3. One thread for the whole process asks the sources, while there are such connections, and ends
   when there are none. Nothing on the data path knows of it.
4. A policy is noted *before* the decision that it may have led to: a change in between shows as one
   that has still to be judged.
5. OpenSSL's objects are not touched from here, since another thread may be within OpenSSL: TCP is
   shut down, and the connection refuses what is asked of it next.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from holdfast.pins.policy import Policy

if TYPE_CHECKING:
    from holdfast.pins.interfaces import PolicySource

__all__ = ["LiveConnections"]

_INTERVAL = 0.05  # seconds between two looks at the sources; an end may take twice that
_LINGER = 5.0  # seconds that the thread waits for another connection: to start one costs more

_AT_EXIT = "at interpreter shutdown"  # so says Python 3.12 and later

_log = logging.getLogger("holdfast.enforcement")


class LiveConnections:
    """The accepted connections of one context."""

    def __init__(self, source: PolicySource) -> None:
        """Watch nothing yet."""
        self._source = source
        self._can_change = not isinstance(source, Policy)
        self._connections: dict[int, tuple[weakref.ref[Any], Policy]] = {}

    def policy_before(self) -> Policy | None:
        """Return the policy to be noted before a decision; None if it cannot change."""
        return self._current() if self._can_change else None

    def add(self, connection: Any, policy: Policy | None) -> None:
        """Keep an accepted connection in view.

        Args:
            connection: It is asked to `_holdfast_judge_again`.
            policy: What `policy_before` returned.
        """
        if policy is None:
            return
        key = id(connection)
        # Called with the dead reference, which is pop()'s default. No Python runs in it, so that
        # Ctrl-C cannot come in and leave the entry behind.
        forget = functools.partial(self._connections.pop, key)
        self._connections[key] = weakref.ref(connection, forget), policy
        _WATCH.see_to(self)

    def __bool__(self) -> bool:
        """Tell whether there is a connection to be watched."""
        return bool(self._connections)

    def look(self) -> None:
        """Have the connections judged again that were accepted under another policy."""
        current = self._current()
        # Keys only: before Python 3.12 making pairs can start a garbage collection, and that can
        # remove entries while the list is being made.
        for key in list(self._connections):
            entry = self._connections.get(key)
            if entry is None:
                continue
            reference, policy = entry
            connection = reference()
            if connection is None or current is None or policy is current:
                continue
            try:
                lives_on = connection._holdfast_judge_again()  # noqa: SLF001  part of the gate
            # A sink that calls sys.exit() too. It stays, and is looked at again.
            except BaseException:  # noqa: BLE001  as said
                _log.exception("a live connection could not be judged again")
                continue
            if lives_on:
                self._connections[key] = reference, current
            else:
                self._connections.pop(key, None)

    def _current(self) -> Policy | None:
        try:
            return self._source.current()
        except Exception:  # noqa: BLE001  a source that fails refuses new connections, not these
            return None


class _Watch:
    """The thread that looks, while there is something to look at."""

    def __init__(self) -> None:
        # A signal handler or a finalizer that connects may come while its own thread holds it.
        self._starting = threading.RLock()
        self._watched: weakref.WeakSet[LiveConnections] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    def see_to(self, live: LiveConnections) -> None:
        """Watch what has a connection now."""
        with self._starting:
            self._watched.add(live)
            if self._thread is not None:
                return
            thread = threading.Thread(
                target=self._run, name="holdfast-live-connections", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # no more threads
                if _AT_EXIT not in str(error):  # then nothing lives on to be looked at
                    _log.warning("until the next connection nobody looks for a policy: %s", error)
                return
            self._thread = thread  # only now: one that did not start must not count as started

    def with_connections(self) -> list[LiveConnections]:
        """Return what has connections. Only while nobody else can add to it."""
        return [live for live in self._watched if live]

    def _run(self) -> None:
        pause = threading.Event()
        idle = 0.0
        while True:
            pause.wait(_INTERVAL)
            with self._starting:
                watched = self.with_connections()
                idle = 0.0 if watched else idle + _INTERVAL
                # Under the lock: whoever adds a connection now finds no thread, and starts one.
                if idle > _LINGER:
                    self._watched.clear()
                    self._thread = None
                    return
            for live in watched:
                try:
                    live.look()
                except BaseException:  # noqa: BLE001  sys.exit() in a source ends no watch
                    _log.exception("open connections could not be looked at")


_WATCH = _Watch()


def _start_anew() -> None:
    """Begin in a forked child, where the thread does not exist."""
    global _WATCH
    parents, _WATCH = _WATCH.with_connections(), _Watch()
    for live in parents:
        _WATCH.see_to(live)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
