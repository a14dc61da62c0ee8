"""Lint of where a platform's clients send reports about pins."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.errors import HostNameError
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule
from holdfast.formats.loss import LossKind
from holdfast.formats.overlaps import at_and_above
from holdfast.formats.platform import PlatformHost
from holdfast.formats.registry import Reading
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import quoted

PLAIN_REPORTS = Rule(
    "HF146",
    Severity.WARNING,
    "Reports go over http",
    "Whoever is in the way of the pinned connection can read, change and drop the report about it.",
    "RFC 7469 section 5",
)
PINNED_REPORTS = Rule(
    "HF147",
    Severity.WARNING,
    "Reports go to a pinned host",
    "When its pins are wrong, the report about that is refused by the same pins, and nobody hears "
    "of it.",
    "RFC 7469 section 2.1.3",
)
RULES = (PLAIN_REPORTS, PINNED_REPORTS)

_END_OF_AUTHORITY = re.compile(r"[/?#\\]")


def report_findings(reading: Reading) -> Iterator[Finding]:
    """Find addresses by which no report can be trusted to arrive."""
    entries: dict[str, list[PlatformHost]] = {}
    for rule in reading.rules:
        for entry in rule.hosts if not rule.exempt else ():
            entries.setdefault(entry.host, []).append(entry)
    for loss in reading.losses:
        if loss.kind is not LossKind.REPORTS or loss.stated is None:
            continue
        scheme, host = _parts(loss.stated)
        if scheme == "http":
            reason = f"{quoted(loss.stated)} is not encrypted"
            yield PLAIN_REPORTS.finding(
                loss.place, reason, "write an https address", subject=loss.subject
            )
        above = at_and_above(host) if host else ()
        if any(entry.covers(host) for name in above for entry in entries.get(name, ())):
            reason = f"{quoted(loss.stated)} is at a host that this file pins"
            action = "send reports to a host that is not pinned, or not by the same keys"
            yield PINNED_REPORTS.finding(loss.place, reason, action, subject=loss.subject)


def _parts(address: str) -> tuple[str, str]:
    """Return the scheme and the host of an address (RFC 3986 section 3); nothing where it is none.

    A report goes where the client's own parser says; what is odd here is no finding.
    """
    scheme, _, rest = address.partition("://")
    authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0].rpartition("@")[2]
    is_ipv6 = authority.startswith("[")
    host = authority.partition("]")[0][1:] if is_ipv6 else authority.partition(":")[0]
    try:
        return scheme.lower(), canonical_host(host)
    except HostNameError:
        return scheme.lower(), ""
