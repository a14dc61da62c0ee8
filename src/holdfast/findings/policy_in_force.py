"""One line that says what a policy does, for the start of a program: nobody guesses the mode."""

from __future__ import annotations

from datetime import datetime

from holdfast.pins.evaluate import effective_mode
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy, Unlisted

__all__ = ["in_force"]

_OTHERS = {
    Unlisted.REFUSE: "refused",
    Unlisted.REPORT_ONLY: "let pass and reported",
    Unlisted.ALLOW: "let pass",
}


def in_force(policy: Policy, now: datetime) -> str:
    """Say how many host patterns are enforced and report-only, and what happens to the others.

    Args:
        policy: The policy.
        now: The time, with an offset: break-glass ends by itself.
    """
    counts = dict.fromkeys(Mode, 0)
    for pin_set in policy.pin_sets:
        counts[effective_mode(pin_set, now)] += len(pin_set.hosts)
    enforced = counts[Mode.ENFORCE]
    patterns = "host pattern is" if enforced == 1 else "host patterns are"
    return (
        f"{enforced} {patterns} enforced, {counts[Mode.REPORT_ONLY]} report-only; "
        f"other hosts are {_OTHERS[policy.unlisted]}"
    )
