"""Local exceptions told at the start: a context that has some must not have them silently."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from holdfast.pins.interfaces import PolicySource
from holdfast.pins.local_exception import LocalException, reach_of
from holdfast.pins.policy import Policy

__all__ = ["announce", "told_at_start"]

_log = logging.getLogger("holdfast.enforcement")


def announce(exceptions: tuple[LocalException, ...], source: PolicySource, now: datetime) -> None:
    """Log a warning for each exception, and for each host that it names in vain.

    Raises:
        TypeError: One of them is something else.
    """
    if any(not isinstance(one, LocalException) for one in exceptions):
        raise TypeError("exceptions are those of load_settings(path).exceptions")
    if exceptions:
        for line in told_at_start(exceptions, source.current(), now):
            _log.warning("%s", line)


def told_at_start(
    exceptions: tuple[LocalException, ...], policy: Policy, now: datetime
) -> Iterator[str]:
    """Say of each exception whether it is in force, and of each host that it names in vain, why."""
    for one in exceptions:
        reach = reach_of(one, policy)
        what = f"a local exception for {one.names} until {one.until.isoformat()} ({one.reason})"
        if not one.is_in_force(now):
            yield f"{what} is not in force"
        elif reach.pin_sets:
            yield f"{what} is in force"
        for hindrance in reach.hindrances:
            yield f"{what}: {hindrance}"
