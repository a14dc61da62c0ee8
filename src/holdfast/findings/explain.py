"""The text of a decision, made in one place: what was expected and what was seen, side by side.

1. The first line is a whole sentence: the host, what happened to the connection, and the outcome.
2. No line is longer than 100 columns; text from certificates is escaped and cut.
3. It says what was observed, never that it is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.certificates.describe import describe
from holdfast.findings.comparison import expected_column, seen_column
from holdfast.findings.escape import escaped
from holdfast.findings.layout import WIDTH, columns, labeled, rfc3339, side_by_side
from holdfast.findings.nearest_miss import nearest_misses
from holdfast.findings.observed import IN_PLAIN_WORDS, path_of, sent
from holdfast.findings.runbook import runbook, whom_to_ask
from holdfast.pins.verdict import Observed, Outcome, Verdict, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from holdfast.pins.chain import PresentedChain

_INDENT = 2
_LABEL = 11  # "> nearest" and two spaces
_HOST_LIMIT = 300
_NAME_LIMIT = 60
_REASON_LIMIT = 300
_SHOWN_NAMES = 5

_SUMMARIES = {
    Outcome.UNDECIDABLE: "undecidable, there is no verified path to judge",
    Outcome.UNTRUSTED: "untrusted, the chain sent does not verify",
    Outcome.DENIED: "denied, a key on the path must never be accepted",
    Outcome.NOT_PINNED: "not-pinned, no pattern covers the host",
    Outcome.MATCH: "match, the path satisfies the pin set",
    Outcome.EXPIRED: "expired, no pin fits and the set is past its time",
    Outcome.MISMATCH: "mismatch, the path does not satisfy the pin set",
}
# What is said otherwise when a server decides on a client.
_OF_CLIENTS = {
    Outcome.UNDECIDABLE: "undecidable, nothing tells who it is",
    Outcome.UNTRUSTED: "untrusted, nothing vouches for the client",
    Outcome.NOT_PINNED: "not-pinned, no pin set names the client",
}


def explain(violation: Violation) -> str:
    """Explain why a connection was refused, or would have been.

    Args:
        violation: What enforcement hands to its caller and to the sink.

    Returns:
        Lines of at most 100 columns; the first one is a summary in one sentence.
    """
    return _explanation(
        violation.verdict,
        violation.observed,
        violation.presented,
        port=violation.port,
        time=violation.time,
    )


def explain_verdict(
    verdict: Verdict,
    *,
    observed: Observed | None = None,
    presented: PresentedChain | None = None,
) -> str:
    """Explain any decision, also one that lets a connection pass.

    Args:
        verdict: The decision.
        observed: What a refusal saw (`holdfast.findings.observed.observe`).
        presented: What the server sent, if it is known.

    Returns:
        As `explain`.
    """
    return _explanation(verdict, observed, presented)


def _explanation(
    verdict: Verdict,
    observed: Observed | None,
    presented: PresentedChain | None,
    *,
    port: int | None = None,
    time: datetime | None = None,
) -> str:
    marks, notes = _marks_and_notes(verdict, presented)
    expected = expected_column(verdict.pin_set, "client" if verdict.is_client else "host")
    left_width = max(map(columns, expected))
    right_width = WIDTH - _INDENT - left_width - 2
    seen = seen_column(verdict, observed, presented, marks=marks, width=right_width)
    facts = [
        *_circumstances(verdict, port, time),
        *notes,
        *_observation(verdict, observed, presented),
        *_advice(verdict, observed),
    ]
    body = [
        *side_by_side(expected, seen, left_width=left_width),
        "",
        *(line for label, text in facts for line in _fact(label, text)),
    ]
    indented = (f"{' ' * _INDENT}{line}" if line else "" for line in body)
    return "\n".join([_summary(verdict, port), "", *indented])


def _fact(label: str, text: str) -> list[str]:
    return labeled(label, text, indent=_LABEL, width=WIDTH - _INDENT)


def _summary(verdict: Verdict, port: int | None) -> str:
    if not verdict.allowed:
        done = "refused"
    elif verdict.violation:
        done = "let pass"
    else:
        done = "allowed"
    summary = _SUMMARIES[verdict.outcome]
    if verdict.is_client:
        summary = _OF_CLIENTS.get(verdict.outcome, summary)
    rest = f" {done}: {summary}."
    where = _where(verdict, port)
    room = WIDTH - len(rest)
    # The end of a name says whose it is, so the beginning is what is left out.
    return (where if len(where) <= room else f"...{where[3 - room :]}") + rest


def _where(verdict: Verdict, port: int | None) -> str:
    # A canonical host is ASCII; a letter that only looks like one of its letters is written out.
    host = escaped(verdict.host.encode("ascii", "backslashreplace").decode("ascii"), _HOST_LIMIT)
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _marks_and_notes(
    verdict: Verdict, presented: PresentedChain | None
) -> tuple[dict[int, str], list[tuple[str, str]]]:
    """Return the sign before each place that matters, and what is to be said about it."""
    pin_set, matched = verdict.pin_set, verdict.matched
    if verdict.outcome is Outcome.DENIED and matched is not None:
        note = f"{matched.position} has {matched.pin}, which stands in `denied` of the policy"
        return {matched.position: "!"}, [("! denied", note)]
    if matched is not None and pin_set is not None:
        if matched.pin not in pin_set.pins:
            what = "is an anchor of the set"
        elif matched.pin in pin_set.backup:
            what = "has a `backup` pin of the set"
        else:
            what = f"has a `{matched.role.value}` pin of the set"
        return {matched.position: "="}, [("= match", f"{matched.position} {what}")]
    if verdict.outcome in (Outcome.MISMATCH, Outcome.EXPIRED) and pin_set is not None:
        misses = nearest_misses(pin_set, path_of(verdict), presented)
        marks = {position: ">" for miss in misses for position in miss.positions}
        return marks, [("> nearest", miss.text) for miss in misses]
    return {}, []


def _circumstances(
    verdict: Verdict, port: int | None, time: datetime | None
) -> Iterator[tuple[str, str]]:
    where = _where(verdict, port)
    if not _summary(verdict, port).startswith(where):
        yield "client" if verdict.is_client else "host", where
    pin_set = verdict.pin_set
    if pin_set is not None:
        mode = f", {verdict.mode.value}" if verdict.mode else ""
        expiry = f", expires {rfc3339(pin_set.expires)}" if pin_set.expires else ""
        yield "pin set", f"{escaped(pin_set.name, _NAME_LIMIT)}{mode}{expiry}"
    if time is not None:
        yield "time", rfc3339(time)
    if verdict.violation or verdict.outcome is not Outcome.MATCH:
        yield "reason", escaped(verdict.reason, _REASON_LIMIT)


def _observation(
    verdict: Verdict, observed: Observed | None, presented: PresentedChain | None
) -> Iterator[tuple[str, str]]:
    if observed is None:
        return
    yield "observed", f"{observed.value}: {IN_PLAIN_WORDS[observed]}"
    certificates = sent(verdict, presented)
    if observed is Observed.WRONG_HOST and certificates:
        names = describe(certificates[0].der).names
        shown = ", ".join(escaped(name, _NAME_LIMIT) for name in names[:_SHOWN_NAMES])
        more = len(names) - _SHOWN_NAMES
        yield "names", (shown or "none") + (f" and {more} more" if more > 0 else "")


def _advice(verdict: Verdict, observed: Observed | None) -> Iterator[tuple[str, str]]:
    if verdict.hint:
        yield "hint", escaped(verdict.hint, _REASON_LIMIT)
    if verdict.violation:
        yield "ask", f"{whom_to_ask(verdict)}, by another channel than this connection"
    path = runbook(verdict, observed)
    if path is not None:
        yield "runbook", path
