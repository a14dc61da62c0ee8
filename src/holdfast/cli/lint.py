"""`holdfast lint`: what can be known against a policy from its text and the date."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.options import format_option, policy_option
from holdfast.cli.output import (
    Format,
    print_findings,
    print_json,
    print_json_line,
    print_lines,
    print_rendered,
)
from holdfast.errors import PolicyError
from holdfast.findings.finding import Finding, Severity, finding_as_json
from holdfast.formats.lint import RULES, UNUSABLE, lint, problems_as_findings
from holdfast.pins.host_pattern import is_ip_literal


@click.command("lint")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@policy_option
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@format_option(Format.JSONL, Format.SARIF, Format.JUNIT, Format.GITHUB)
def command(*, files: tuple[Path, ...], policy: Path, strict: bool, output_format: Format) -> int:
    """Look for mistakes in policies, offline.

    Every mistake of a file is told at once. FILE stands for --policy.

    Exit codes: 0 nothing, or only warnings and notes; 1 an error (with --strict also a warning); 2
    a file that cannot be used at all.
    """
    checked = files or (policy,)
    findings = [finding for file in checked for finding in _lint(file)]
    _print(findings, checked, output_format)
    found = {finding.severity for finding in findings}
    if any(finding.rule == UNUSABLE.id for finding in findings):
        return 2
    return 1 if Severity.ERROR in found or (strict and Severity.WARNING in found) else 0


def _lint(file: Path) -> list[Finding]:
    try:
        found = lint(load_policy(file), now=datetime.now(UTC), public_suffix=is_public_suffix)
    except PolicyError as error:
        found = problems_as_findings(error)
    return [replace(finding, file=str(file)) for finding in found]


def is_public_suffix(host: str) -> bool:
    """Tell whether a canonical host is a public suffix, such as co.uk."""
    return not is_ip_literal(host) and bool(_public_suffixes().is_public(host))


@cache
def _public_suffixes():  # type: ignore[no-untyped-def]  # noqa: ANN202 (it ships no types)
    from publicsuffixlist import PublicSuffixList

    # Only suffixes that are listed: a name like "svc.internal" belongs to whoever runs the network.
    return PublicSuffixList(accept_unknown=False)


def _print(findings: list[Finding], files: tuple[Path, ...], output_format: Format) -> None:
    match output_format:
        case Format.TABLE:
            _print_for_people(findings, files)
        case Format.JSON:
            print_json([finding_as_json(finding) for finding in findings])
        case Format.JSONL:
            for finding in findings:
                print_json_line(finding_as_json(finding))
        case _:
            titles = {rule.id: rule.title for rule in RULES}
            clean = {str(file) for file in files} - {finding.file for finding in findings}
            print_rendered(output_format, findings, titles, sorted(clean))


def _print_for_people(findings: list[Finding], files: tuple[Path, ...]) -> None:
    for file in files:
        found = [finding for finding in findings if finding.file == str(file)]
        counts = Counter(finding.severity.value for finding in found)
        summary = ", ".join(
            f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()
        )
        print_lines(f"{file}: {summary or 'nothing found'}")
        if found:
            print_findings(found)
