"""`holdfast check`: hold the endpoints of a policy against reality, many at once."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli import soon_over
from holdfast.cli.endpoint_check import (
    Checked,
    check_endpoints,
    endpoints_of,
    not_probed,
    select,
)
from holdfast.cli.options import (
    anchors_option,
    format_option,
    policy_option,
    starttls_option,
    timeout_option,
)
from holdfast.cli.output import (
    Format,
    complain,
    print_findings,
    print_grid,
    print_json,
    print_json_line,
    print_lines,
    print_rendered,
    progress,
)
from holdfast.cli.trust import given_anchors
from holdfast.findings.decision_report import decision_as_json
from holdfast.findings.explain import explain
from holdfast.findings.finding import Finding, Severity, finding_as_json
from holdfast.findings.layout import rfc3339
from holdfast.findings.live_endpoint import TITLES, UNREACHABLE
from holdfast.formats.lint_reach import UNPROBED
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Outcome, Verdict, Violation


@click.command("check")
@click.argument("hosts", metavar="[HOST[:PORT]]...", nargs=-1)
@policy_option
@anchors_option("Trust these CAs instead of the public ones, as clients with public_anchors do.")
@starttls_option
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="How many connections at once.",
)
@timeout_option(10.0)
@format_option(Format.JSONL, Format.SARIF, Format.JUNIT, Format.GITHUB)
def command(
    *,
    hosts: tuple[str, ...],
    policy: Path,
    anchors: Path | None,
    starttls: str | None,
    concurrency: int,
    timeout: float,
    output_format: Format,
) -> int:
    """Connect to the endpoints of a policy and decide as a client would.

    Without HOST every endpoint of the policy is visited: what a set lists as `endpoints`, else port
    443 of each exact host. A HOST of the policy selects its endpoints; any other, or one with a
    port or scheme, is visited as given.

    Exit codes: 1 when a path does not satisfy its pins, whatever the mode; 3 when nothing worse
    happened than that an endpoint could not be reached, or when there was none to visit.
    """
    loaded = load_policy(policy)
    endpoints = select(hosts, endpoints_of(loaded), starttls or "https")
    notes = () if hosts else not_probed(loaded)
    results = asyncio.run(
        _check(
            loaded,
            endpoints,
            given_anchors(anchors),
            concurrency=concurrency,
            timeout=timeout,
            as_lines=output_format is Format.JSONL,
        )
    )
    _print(results, notes, policy, output_format)
    if not results:
        complain(f"{policy}: no endpoint to visit, so nothing was determined", _way_out(loaded))
        return 3
    if any(result.violates for result in results):
        return 1
    return 3 if any(result.verdict is None for result in results) else 0


def _way_out(policy: Policy) -> str:
    """Say what to do about a policy of which nothing can be visited."""
    if not policy.pin_sets:
        return "it has no pin set: holdfast pin HOST adds one"
    return "list hosts to connect to as `endpoints`, or name one: holdfast check HOST"


async def _check(
    policy: Policy,
    endpoints: Sequence[Endpoint],
    anchors: tuple[bytes, ...] | None,
    *,
    concurrency: int,
    timeout: float,
    as_lines: bool,
) -> list[Checked]:
    """Return the results in the order of the endpoints; lines are printed as results come."""
    results = {}
    with progress(len(endpoints), "checking") as done:
        found = check_endpoints(
            policy, endpoints, anchors, concurrency=concurrency, timeout=timeout
        )
        async for result in found:
            results[result.endpoint] = result
            if as_lines:
                print_json_line(_as_json(result))
            done()
    return [results[endpoint] for endpoint in endpoints]


def _print(
    results: list[Checked], notes: Sequence[Finding], policy: Path, output_format: Format
) -> None:
    match output_format:
        case Format.TABLE:
            _print_for_people(results, notes)
        case Format.JSON:
            print_json(
                {
                    "endpoints": [_as_json(result) for result in results],
                    "notes": [finding_as_json(note) for note in notes],
                }
            )
        case Format.JSONL:  # the results were printed as they came
            for note in notes:
                print_json_line(finding_as_json(note))
        case _:
            findings = [*(finding for result in results for finding in result.findings), *notes]
            # What reads these formats wants a file to point at, and the policy is the one to look
            # into.
            in_policy = [replace(finding, file=str(policy)) for finding in findings]
            titles = {**TITLES, **soon_over.TITLES, UNPROBED.id: UNPROBED.title}
            passed = [str(result.endpoint) for result in results if not result.findings]
            print_rendered(output_format, in_policy, titles, passed)


def _print_for_people(results: list[Checked], notes: Sequence[Finding]) -> None:
    if results:
        print_grid(map(_row, results), headers=("", "ENDPOINT", "PIN SET", "RESULT"), whole=2)
    for result in results:
        if result.verdict is not None and result.violates:
            print_lines("", *_explanation(result, result.verdict).split("\n"))
    # What an error says stands in the explanation, and why nothing is known in the table.
    told = [
        finding
        for result in results
        for finding in result.findings
        if finding.severity is not Severity.ERROR and finding.rule != UNREACHABLE
    ]
    if told or notes:
        print_lines(*[""] if results else [])
        print_findings([*told, *notes])
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    number = f"{len(results)} endpoint{'' if len(results) == 1 else 's'}"
    print_lines("", f"{number}: {summary or 'nothing to check'}")


def _explanation(result: Checked, verdict: Verdict) -> str:
    return explain(
        Violation(
            verdict=verdict,
            observed=result.observed or Observed.UNKNOWN,
            time=result.time,
            port=result.endpoint.port,
            presented=result.presented,
        )
    )


def _row(result: Checked) -> tuple[str, str, str, str]:
    verdict = result.verdict
    first = result.findings[0] if result.findings else None
    if verdict is None:
        return "unknown", str(result.endpoint), "", first.reason if first else ""
    mark = first.severity.value if first else "ok"
    name = verdict.pin_set.name if verdict.pin_set else ""
    what = verdict.outcome.value
    if verdict.outcome is Outcome.MATCH and verdict.matched and verdict.pin_set:
        is_backup = verdict.matched.pin in verdict.pin_set.backup
        what += f" ({'backup' if is_backup else verdict.matched.role.value})"
    if verdict.violation:
        what += ", refused" if not verdict.allowed else ", reported"
    return mark, str(result.endpoint), name, what


def _as_json(result: Checked) -> dict[str, object]:
    head: dict[str, object] = {
        "endpoint": str(result.endpoint),
        "address": result.address,
        "time": rfc3339(result.time),
    }
    if result.verdict is None:
        head["host"] = result.endpoint.host
        head["outcome"] = result.outcome
    else:
        head |= decision_as_json(
            result.verdict,
            observed=result.observed,
            presented=result.presented,
            verifier=ssl.OPENSSL_VERSION,
        )
    head["findings"] = [finding_as_json(finding) for finding in result.findings]
    return head
