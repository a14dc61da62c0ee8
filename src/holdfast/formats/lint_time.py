"""Lint of the times in a policy: expiry and break-glass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule
from holdfast.pins.evaluate import effective_mode
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet
from holdfast.pins.policy import Policy

EXPIRY_NOTICE = timedelta(days=30)
"""How long before its expiry a set is told of: a month holds a release and a quiet fortnight."""

_SILENT_EXPIRY = "https://www.mozilla.org/security/advisories/mfsa2016-85/"  # CVE-2016-5284

EXPIRED_OPEN = Rule(
    "HF120",
    Severity.ERROR,
    "The set has expired and no longer refuses",
    "The mode still says enforce, but since its expiry a mismatch of this set is let pass. "
    "Firefox had such a window for its add-on updates (CVE-2016-5284).",
    _SILENT_EXPIRY,
)
EXPIRED = Rule(
    "HF121",
    Severity.WARNING,
    "The set has expired",
    "Its date says that nobody vouches for these pins any more.",
)
EXPIRES_SOON = Rule(
    "HF122",
    Severity.WARNING,
    "The set expires soon",
    f"Less than {EXPIRY_NOTICE.days} days are left to bring a renewed policy to every client. "
    "Devices with a forgotten date have stopped worldwide on one day.",
    "https://www.theregister.com/2025/03/10/google_chromecast_outage/",
)
OPENS_ON_EXPIRY = Rule(
    "HF123",
    Severity.WARNING,
    "Expiry will switch the set off",
    "On that day the set stops refusing, without anybody doing anything, and an attacker who sets "
    "a clock forward gets there at once.",
    _SILENT_EXPIRY,
)
BREAK_GLASS = Rule(
    "HF124",
    Severity.WARNING,
    "Break-glass is in force",
    "Until it ends, a mismatch of this set is reported and let pass. Denied keys are still "
    "refused.",
)
IDLE_BREAK_GLASS = Rule(
    "HF125",
    Severity.NOTE,
    "Break-glass without effect",
    "It has ended, ends too far ahead to be honored, or the set is report-only anyway. What is "
    "left over misleads the next reader.",
)
EXPIRES_BEFORE_CLIENTS = Rule(
    "HF126",
    Severity.ERROR,
    "It expires before the clients' end of life",
    "Clients that nobody updates any more outlive their pins: they stop connecting on that day, or "
    "connect unprotected (CVE-2016-5284). Asked for with --client-lives-until.",
    _SILENT_EXPIRY,
)
RULES = (
    EXPIRED_OPEN,
    EXPIRED,
    EXPIRES_SOON,
    OPENS_ON_EXPIRY,
    BREAK_GLASS,
    IDLE_BREAK_GLASS,
    EXPIRES_BEFORE_CLIENTS,
)


def time_findings(
    policy: Policy, now: datetime, clients_live_until: datetime | None = None
) -> Iterator[Finding]:
    """Find sets whose protection ends, or has ended, by the clock."""
    for pin_set in policy.pin_sets:
        yield from _expiry(pin_set, now, clients_live_until)
        yield from _break_glass(pin_set, now)


def ending(
    ends: datetime,
    now: datetime,
    clients_live_until: datetime | None,
    told: Callable[[Rule, str], Finding],
) -> Iterator[Finding]:
    """Find an end that has come, is near, or is too early.

    Args:
        ends: The end, with an offset.
        now: The time, with an offset.
        clients_live_until: When the last client is gone, if that is known.
        told: Makes a finding of a rule and a reason.
    """
    when = ends.isoformat()
    if now >= ends:
        yield told(EXPIRED, f"it expired at {when}")
        return
    if ends - now < EXPIRY_NOTICE:
        yield told(EXPIRES_SOON, f"it expires at {when}")
    if clients_live_until is not None and ends < clients_live_until:
        reason = f"it expires at {when}, and clients live until {clients_live_until.isoformat()}"
        yield told(EXPIRES_BEFORE_CLIENTS, reason)


def _expiry(
    pin_set: PinSet, now: datetime, clients_live_until: datetime | None
) -> Iterator[Finding]:
    if pin_set.expires is None or pin_set.on_expiry is None:
        return
    renew = "confirm the pins with the owner and write a later `expires`"
    opens = pin_set.mode is Mode.ENFORCE and pin_set.on_expiry is not OnExpiry.ENFORCE
    when = pin_set.expires.isoformat()
    if opens and now >= pin_set.expires:
        reason = f"it expired at {when}, and on_expiry is {pin_set.on_expiry.value}"
        yield EXPIRED_OPEN.in_set(pin_set.name, "expires", reason, renew)
        return
    yield from ending(
        pin_set.expires,
        now,
        clients_live_until,
        lambda rule, reason: rule.in_set(pin_set.name, "expires", reason, renew),
    )
    if opens:
        yield OPENS_ON_EXPIRY.in_set(
            pin_set.name,
            "on_expiry",
            f"from {when} on, on_expiry = {pin_set.on_expiry.value} lets a mismatch pass",
            'write on_expiry = "enforce" unless being reachable matters more than being pinned',
        )


def _break_glass(pin_set: PinSet, now: datetime) -> Iterator[Finding]:
    if pin_set.report_only_until is None:
        return
    key = "report_only_until"
    until = pin_set.report_only_until.isoformat()
    if effective_mode(pin_set, now) is not pin_set.mode:
        yield BREAK_GLASS.in_set(
            pin_set.name,
            key,
            f"mismatches are let pass until {until}",
            "remove it as soon as the clients reach the server under its pins again",
        )
    else:
        yield IDLE_BREAK_GLASS.in_set(pin_set.name, key, f"{until} has no effect", "remove it")
