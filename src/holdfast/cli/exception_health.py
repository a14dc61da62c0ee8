"""What `holdfast doctor` says of local exceptions: each one, whether it counts, and where not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from holdfast.cli.health import Health
from holdfast.findings.escape import escaped
from holdfast.findings.finding import Severity
from holdfast.findings.layout import rfc3339
from holdfast.pins.local_exception import LocalException, reach_of
from holdfast.pins.policy import Policy

_NAME = "local exception"
_REASON_LIMIT = 300


def exceptions(
    found: tuple[LocalException, ...], policy: Policy | None, now: datetime
) -> Iterator[Health]:
    """Say of each exception what it allows.

    Args:
        found: The exceptions of the settings.
        policy: The policy that they are exceptions to; None where there is none to be found.
        now: The time at which they are looked at, with an offset.
    """
    for one in found:
        what = f"{one.names}, until {rfc3339(one.until)}: {escaped(one.reason, _REASON_LIMIT)}"
        if not one.is_in_force(now):
            yield Health(
                name=_NAME,
                detail=f"not in force: {what}",
                severity=Severity.NOTE,
                rule="HF510",
                action="remove it, if its time is over and this machine's clock is right",
            )
        elif policy is None:
            yield _in_force(what, "whether it has an effect is not known without --policy")
        else:
            reach = reach_of(one, policy)
            if reach.pin_sets:
                yield _in_force(what, f"pin sets: {', '.join(reach.pin_sets)}")
            for hindrance in reach.hindrances:
                yield Health(
                    name=_NAME,
                    detail=f"{hindrance} ({what})",
                    severity=Severity.WARNING,
                    rule="HF510",
                    action="take this host out of it; have the proxy leave the host alone",
                )


def _in_force(what: str, where: str) -> Health:
    return Health(
        name=_NAME,
        detail=f"in force: {what} ({where})",
        severity=Severity.WARNING,
        rule="HF509",
        action="have the proxy leave these hosts alone, then remove it: it can read what is sent",
    )
