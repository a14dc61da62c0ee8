"""`holdfast lint`: mistakes in a policy and in the files of other platforms."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.cli.lint_files import Linted, files_in, lint_file
from holdfast.cli.lint_live import look
from holdfast.cli.options import anchors_option, format_option, policy_option, timeout_option
from holdfast.cli.output import (
    Format,
    complain,
    print_findings,
    print_json,
    print_json_line,
    print_lines,
    print_rendered,
)
from holdfast.cli.public_suffixes import is_public_suffix
from holdfast.cli.trust import given_anchors, named_public_roots
from holdfast.errors import HoldfastError
from holdfast.findings.finding import Severity, finding_as_json
from holdfast.findings.live_endpoint import TITLES, UNREACHABLE
from holdfast.formats.lint import RULES
from holdfast.formats.lint_platform import Circumstances
from holdfast.formats.registry import NAMES
from holdfast.pins.endpoint import Endpoint


@click.command("lint")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@policy_option
@click.option(
    "--from", "format_name", type=click.Choice(NAMES), help="The format of FILE; else guessed."
)
@click.option(
    "--client-lives-until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="When the last client is gone: pins that expire before are an error.",
)
@click.option("--live", is_flag=True, help="Hold the pins against the chains of their hosts too.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Where to look with --live, instead of the hosts that the files name.",
)
@anchors_option("Trust these CAs instead of the public ones, with --live.")
@timeout_option(10.0)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@format_option(Format.JSONL, Format.SARIF, Format.JUNIT, Format.GITHUB)
def command(  # noqa: PLR0913 (each is an option)
    *,
    files: tuple[Path, ...],
    policy: Path,
    format_name: str | None,
    client_lives_until: datetime | None,
    live: bool,
    endpoints: tuple[str, ...],
    anchors: Path | None,
    timeout: float,
    strict: bool,
    output_format: Format,
) -> int:
    """Look for mistakes in policies and in the files of other platforms, offline.

    Every mistake of a file is told at once. FILE stands for --policy; of a folder, each file that
    is a policy or in a format that is known is looked at.

    Exit codes: 0 nothing, or only warnings and notes; 1 an error (with --strict also a warning); 2
    a file that cannot be used at all; 3 with --live, when an endpoint could not be reached, or
    there was none, and nothing worse was found.
    """
    if endpoints and not live:
        raise HoldfastError("--endpoint is where --live looks", hint="write --live too")
    named = [Endpoint.parse(text) for text in endpoints]
    known = Circumstances(
        now=datetime.now(UTC),
        public_suffix=is_public_suffix,
        public_roots=named_public_roots(),
        clients_live_until=client_lives_until and client_lives_until.replace(tzinfo=UTC),
    )
    meant = files_in(files or (policy,), with_format=format_name is not None)
    checked = [lint_file(file, format_name, known) for file in dict.fromkeys(meant)]
    is_whole = True
    if live:
        trusted = given_anchors(anchors)
        looks = asyncio.run(look(checked, named, trusted, known.public_roots, timeout=timeout))
        checked = [one.linted for one in looks]
        is_whole = all(one.is_whole for one in looks)
    _print(checked, output_format)
    if live and not is_whole:
        complain("not every file has an endpoint that could be reached", "see --endpoint")
    return _exit_code(checked, strict=strict, is_whole=is_whole)


def _exit_code(checked: Sequence[Linted], *, strict: bool, is_whole: bool) -> int:
    if not all(linted.is_usable for linted in checked):
        return 2
    found = {finding.severity for linted in checked for finding in linted.findings}
    if Severity.ERROR in found or (strict and Severity.WARNING in found):
        return 1
    return 0 if is_whole else 3


def _print(checked: Sequence[Linted], output_format: Format) -> None:
    findings = [finding for linted in checked for finding in linted.findings]
    match output_format:
        case Format.TABLE:
            for linted in checked:
                _print_for_people(linted)
        case Format.JSON:
            print_json([finding_as_json(finding) for finding in findings])
        case Format.JSONL:
            for finding in findings:
                print_json_line(finding_as_json(finding))
        case _:
            titles = {rule.id: rule.title for rule in RULES} | {UNREACHABLE: TITLES[UNREACHABLE]}
            clean = sorted(str(linted.file) for linted in checked if not linted.findings)
            print_rendered(output_format, findings, titles, clean)


def _print_for_people(linted: Linted) -> None:
    counts = Counter(finding.severity.value for finding in linted.findings)
    summary = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()
    )
    print_lines(f"{linted.file}: {summary or 'nothing found'}")
    if linted.findings:
        print_findings(linted.findings)
