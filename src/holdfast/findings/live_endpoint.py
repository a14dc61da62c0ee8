"""HF2xx: what `holdfast check` finds when it holds the policy against a server that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.findings.finding import Finding, Severity
from holdfast.findings.observed import IN_PLAIN_WORDS
from holdfast.findings.runbook import hint, uses_backup
from holdfast.pins.verdict import Observed, Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.pins.endpoint import Endpoint

MISMATCH = "HF201"
UNTRUSTED = "HF202"
DENIED_KEY_SERVED = "HF203"
UNDECIDABLE = "HF204"
EXPIRED_SET = "HF205"
NOT_PINNED = "HF206"
BACKUP_IN_USE = "HF207"
UNREACHABLE = "HF208"

TITLES = {
    MISMATCH: "The path that the server shows does not satisfy the pin set",
    UNTRUSTED: "The chain that the server shows does not verify",
    DENIED_KEY_SERVED: "The server shows a denied key",
    UNDECIDABLE: "There is no path to judge",
    EXPIRED_SET: "The pin set has expired",
    NOT_PINNED: "No pattern of the policy covers the host",
    BACKUP_IN_USE: "The server uses a backup key",
    UNREACHABLE: "The server cannot be reached",
}

_RULES = {
    Outcome.MISMATCH: MISMATCH,
    Outcome.UNTRUSTED: UNTRUSTED,
    Outcome.DENIED: DENIED_KEY_SERVED,
    Outcome.UNDECIDABLE: UNDECIDABLE,
    Outcome.EXPIRED: EXPIRED_SET,
    Outcome.NOT_PINNED: NOT_PINNED,
}
_SOURCES = {
    MISMATCH: "RFC 7469 section 2.6",
    UNTRUSTED: "RFC 5280 section 6",
    BACKUP_IN_USE: "RFC 7469 section 4.3",
}


def finding_of(
    verdict: Verdict, observed: Observed | None, endpoint: Endpoint, now: datetime
) -> Finding | None:
    """Turn the verdict on a live endpoint into a finding.

    Args:
        verdict: What a client would decide.
        observed: What a refusal saw.
        endpoint: Where the path was seen.
        now: The time of the decision, with an offset.

    Returns:
        An error where a client would refuse or report; a warning or note where it would not, but
        something is to be done; None where all is well.
    """
    if verdict.outcome is Outcome.MATCH:
        return _of_match(verdict, endpoint, now)
    rule = _RULES[verdict.outcome]
    reason = verdict.reason
    if observed is not None:
        reason += f"; observed {observed.value}: {IN_PLAIN_WORDS[observed]}"
    severity = Severity.NOTE if rule == NOT_PINNED else Severity.WARNING
    return _finding(
        rule,
        Severity.ERROR if verdict.violation else severity,
        endpoint,
        reason,
        hint(verdict, observed) or _WHEN_ALLOWED[rule],
    )


_WHEN_ALLOWED = {
    EXPIRED_SET: "renew the set with pins from the server's owner: it refuses nothing any more",
    NOT_PINNED: "add a pin set for the host, or stop checking it",
}


def unreachable(endpoint: Endpoint, reason: str) -> Finding:
    """Report an endpoint of which nothing is known, because no handshake could be had."""
    action = "check the address and the network, then run the check again: nothing was determined"
    return _finding(UNREACHABLE, Severity.NOTE, endpoint, reason, action)


def _of_match(verdict: Verdict, endpoint: Endpoint, now: datetime) -> Finding | None:
    action = hint(verdict, None) or _WHEN_ALLOWED[EXPIRED_SET]
    expires = verdict.pin_set.expires if verdict.pin_set else None
    # The expiry first: it will let every path pass, or refuse a good one, whichever key is in use.
    if expires is not None and now >= expires:
        rule, reason = EXPIRED_SET, "the path has a pin of the set, but the set is past its time"
    elif uses_backup(verdict):
        rule, reason = BACKUP_IN_USE, "the key in use is a backup, so that no reserve is left"
    else:
        return None
    return _finding(rule, Severity.WARNING, endpoint, reason, action)


def _finding(
    rule: str, severity: Severity, endpoint: Endpoint, reason: str, action: str
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        place=str(endpoint),
        reason=reason,
        action=action,
        source=_SOURCES.get(rule),
        subject=endpoint.host,
    )
