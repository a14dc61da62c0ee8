"""`holdfast evaluate`: what a client with a policy would decide about a chain, offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.load_policy import load_policy
from holdfast.certificates.offline_decision import decide_offline
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import verifier_name
from holdfast.cli.evaluate_as import evaluate_as
from holdfast.cli.options import anchors_option, format_option, path_option, policy_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.trust import ends_as_expected, given_anchors, public_roots
from holdfast.errors import Problem
from holdfast.findings.decision_report import decision_as_json
from holdfast.findings.explain import explain_verdict
from holdfast.findings.observed import observe
from holdfast.formats.registry import NAMES
from holdfast.pins.chain import PresentedChain
from holdfast.pins.field_readers import moment
from holdfast.pins.host_pattern import canonical_host


def _as_time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime:
    """Read a time as policies have it, so that it means the same in both."""
    if text is None:
        return datetime.now(UTC)
    problems: list[Problem] = []
    time = moment(text, "", problems)
    if time is None:
        raise click.BadParameter("; ".join(map(str, problems)))
    return time


@click.command("evaluate")
@click.option("--host", required=True, help="The host that the client would connect to.")
@path_option("--chain", required=True, help="What the server sent: PEM, leaf first.")
@policy_option
@anchors_option("Trust these CAs instead of the public ones, where the policy names none.")
@click.option(
    "--at",
    "now",
    metavar="TIME",
    callback=_as_time,
    help="Decide for this time (RFC 3339, with an offset) instead of now.",
)
@click.option(
    "--as",
    "format_name",
    type=click.Choice(NAMES),
    help="Decide as this platform's client would, from the policy or from its own file.",
)
@format_option()
def command(
    *,
    host: str,
    chain: Path,
    policy: Path,
    anchors: Path | None,
    now: datetime,
    format_name: str | None,
    output_format: Format,
) -> int:
    """Say what a client with the policy would decide about a chain. Nothing is connected to.

    The chain is verified as a client would, for the host and the time, but by another verifier
    than OpenSSL; where the two might not agree the hint says so. What is said of a host with
    pins-only trust takes for granted that the server holds the leaf's key.

    The exit code is 0 when nothing is, or would be, refused, and 1 when something is.
    """
    presented = load_chain(chain)
    trusted = given_anchors(anchors)
    public = public_roots() if trusted is None else trusted
    if format_name is not None:
        return evaluate_as(format_name, policy, host, presented, public, now, output_format)
    rules = load_policy(policy)
    verdict, failure = decide_offline(rules, canonical_host(host), presented, public, now)
    shown = PresentedChain(tuple(map(chain_certificate, presented)))
    is_expected = ends_as_expected(verdict, trusted)
    observed = observe(verdict, presented=shown, anchor_is_public=is_expected)
    if failure is not None:
        observed = failure.observed
    verifier = verifier_name()
    if output_format is Format.JSON:
        report = decision_as_json(verdict, observed=observed, presented=shown, verifier=verifier)
        print_json(report)
    else:
        seen = observed if verdict.violation else None
        text = explain_verdict(verdict, observed=seen, presented=shown)
        print_lines(*text.split("\n"), f"  verified   {verifier}")
    return 1 if verdict.violation else 0
