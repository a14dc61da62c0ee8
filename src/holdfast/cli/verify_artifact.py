"""`holdfast verify-artifact`: what a shipped package pins, beside the policy and the servers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.endpoint_check import look_at
from holdfast.cli.options import anchors_option, format_option, policy_option, timeout_option
from holdfast.cli.output import (
    Format,
    complain,
    print_findings,
    print_json,
    print_lines,
    print_rendered,
)
from holdfast.cli.trust import given_anchors
from holdfast.findings.finding import Finding, Severity, finding_as_json
from holdfast.formats.artifacts.archive import entries_of
from holdfast.formats.artifacts.comparison import RULES, artifact_findings, live_findings
from holdfast.formats.artifacts.found import Found, look_through
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin_set import probed_endpoints
from holdfast.pins.policy import Policy


@click.command("verify-artifact")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@policy_option
@click.option("--live", is_flag=True, help="Hold its pins against the endpoints of the policy too.")
@anchors_option("Trust these CAs instead of the public ones, with --live.")
@timeout_option(10.0)
@format_option(Format.SARIF, Format.JUNIT, Format.GITHUB)
def command(
    *,
    file: Path,
    policy: Path,
    live: bool,
    anchors: Path | None,
    timeout: float,
    output_format: Format,
) -> int:
    """Read the pins out of a shipped package, and hold them against the policy.

    FILE is an APK, IPA, AAR, wheel, jar, or an unpacked folder such as an .app. Nothing is
    unpacked. Configurations of Android, Apple and TrustKit are compared as what they mean; in
    everything else texts that are pins are found.

    Exit codes: 0 it pins what the policy says; 1 it does not; 2 bad input; 3 with --live, an
    endpoint could not be reached.
    """
    # The reader of binary XML writes its own log on stderr, unless there is a handler already.
    logging.basicConfig(handlers=[logging.NullHandler()])
    rules = load_policy(policy)
    found = look_through(entries_of(file))
    findings = list(artifact_findings(rules, found))
    is_whole = True
    if live:
        more, is_whole = _look(rules, found, given_anchors(anchors), timeout)
        findings += more
    placed = [replace(one, file=str(file)) for one in findings]
    _print(file, found, placed, output_format)
    if not is_whole:
        complain("not every endpoint could be reached", "try again where it can be")
    if any(one.severity is Severity.ERROR for one in placed):
        return 1
    return 0 if is_whole else 3


def _look(
    policy: Policy, found: Sequence[Found], anchors: tuple[bytes, ...] | None, timeout: float
) -> tuple[list[Finding], bool]:
    """Hold what is in a package against what the endpoints show, and say whether all did."""
    endpoints = [one for pin_set in policy.pin_sets for one in probed_endpoints(pin_set)]
    findings: list[Finding] = []
    is_whole = True
    for checked in look_at(policy, endpoints, anchors, timeout):
        chain = None if checked.verdict is None else checked.verdict.chain
        if isinstance(chain, VerifiedChain):
            findings += live_findings(found, checked.endpoint.host, chain, checked.time)
        else:
            is_whole = False
    return findings, is_whole


def _print(
    file: Path, found: Sequence[Found], findings: Sequence[Finding], output_format: Format
) -> None:
    looked_at = [one for one in found if one.reading is not None or one.pins]
    if output_format is Format.JSON:
        print_json(
            {
                "file": str(file),
                "found": [
                    {
                        "name": one.name,
                        "format": None if one.format is None else one.format.name,
                        "pins": sorted(map(str, one.all_pins)),
                        "in_force": one.in_force is None,
                    }
                    for one in looked_at
                ],
                "findings": [finding_as_json(one) for one in findings],
            }
        )
    elif output_format is Format.TABLE:
        for one in looked_at:
            what = "texts" if one.format is None else one.format.semantics.title
            force = "" if one.in_force is None else ", not in force"
            print_lines(f"{one.name}: {len(one.all_pins)} pins ({what}{force})")
        print_findings(findings)
        if not findings:
            print_lines(f"{file}: as the policy says")
    else:
        titles = {rule.id: rule.title for rule in RULES}
        print_rendered(output_format, findings, titles, [] if findings else [str(file)])
