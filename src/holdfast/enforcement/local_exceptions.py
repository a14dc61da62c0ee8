"""Local exceptions told at the start: a context that has some must not have them silently."""

from __future__ import annotations

import logging
from datetime import datetime

from holdfast.pins.interfaces import PolicySource
from holdfast.pins.local_exception import LocalException, reach_of

__all__ = ["announce"]

_log = logging.getLogger("holdfast.enforcement")


def announce(exceptions: tuple[LocalException, ...], source: PolicySource, now: datetime) -> None:
    """Log a warning for each exception, and for each host that it names in vain.

    Raises:
        TypeError: One of them is something else.
    """
    if not exceptions:
        return
    policy = source.current()
    for one in exceptions:
        if not isinstance(one, LocalException):
            raise TypeError("exceptions are those of load_settings(path).exceptions")
        reach = reach_of(one, policy)
        what = f"a local exception for {one.names} until {one.until.isoformat()} ({one.reason})"
        if not one.is_in_force(now):
            _log.warning("%s is not in force", what)
        elif reach.pin_sets:
            _log.warning("%s is in force", what)
        for hindrance in reach.hindrances:
            _log.warning("%s: %s", what, hindrance)
