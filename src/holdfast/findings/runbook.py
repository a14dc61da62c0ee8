"""Whom to ask and where to read on when a connection is, or would be, refused."""

from __future__ import annotations

from holdfast.findings.escape import escaped
from holdfast.pins.verdict import Observed, Outcome, Verdict

CLIENTS_REFUSE_NOW = "docs/runbooks/clients-refuse-now.md"
THE_KEY_LEAKED = "docs/runbooks/the-key-leaked.md"
THE_BACKUP_IS_LOST = "docs/runbooks/the-backup-is-lost.md"
PINNED_CLIENTS = "docs/servers/index.md"

_OWNER_LIMIT = 120
_HINT_LIMIT = 300


def runbook(verdict: Verdict, observed: Observed | None) -> str | None:
    """Return the runbook that fits, as a path in the project; None when there is nothing to do."""
    if observed is Observed.DENIED_KEY or verdict.outcome is Outcome.DENIED:
        return THE_KEY_LEAKED
    if verdict.violation:
        # The fourth, about a CA that revokes, begins with the CA's notice and not with a refusal.
        return PINNED_CLIENTS if verdict.is_client else CLIENTS_REFUSE_NOW
    # A backup in use is none any more.
    return THE_BACKUP_IS_LOST if uses_backup(verdict) else None


def uses_backup(verdict: Verdict) -> bool:
    """Tell whether it is a backup pin that matched."""
    pin_set, matched = verdict.pin_set, verdict.matched
    return pin_set is not None and matched is not None and matched.pin in pin_set.backup


def whom_to_ask(verdict: Verdict) -> str:
    """Return who can tell which keys the other end has."""
    pin_set = verdict.pin_set
    if pin_set is None:
        return "whoever keeps the policy"
    if not pin_set.owner:
        end = "client" if verdict.is_client else "server"
        return f"whoever runs the {end} (the pin set names no owner)"
    return escaped(pin_set.owner, _OWNER_LIMIT)


def hint(verdict: Verdict, observed: Observed | None) -> str | None:
    """Return on one line what the verdict adds, whom to ask and which runbook; None for nothing."""
    parts = [escaped(verdict.hint, _HINT_LIMIT)] if verdict.hint else []
    if verdict.violation:
        parts.append(f"ask {whom_to_ask(verdict)}")
    if (path := runbook(verdict, observed)) is not None:
        parts.append(f"see {path}")
    return "; ".join(parts) or None
