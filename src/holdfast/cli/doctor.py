"""`holdfast doctor`: check whether pins can be enforced on this machine, with a self-test."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.cli import health
from holdfast.cli.exception_health import exceptions
from holdfast.cli.health import Health
from holdfast.cli.options import anchors_option, config_option, format_option, policy_option
from holdfast.cli.output import Format, print_grid, print_json, print_lines
from holdfast.cli.settings import given_settings, policy_if_there
from holdfast.cli.trust import given_anchors
from holdfast.facts.known_bad import CHECKED
from holdfast.findings.finding import Severity


@click.command("doctor")
@anchors_option("Certificates of a private CA, to be looked at for what newer Pythons refuse.")
@policy_option
@config_option
@format_option()
def command(
    *, anchors: Path | None, policy: Path, config: Path | None, output_format: Format
) -> int:
    """Check whether pins can be enforced here.

    Looks at versions, overrides, patches and the trust store, and makes real connections on
    loopback: one with a wrong pin has to fail before a byte is sent. Pythons and libraries with
    known weaknesses are warnings, and so are local exceptions: the policy is only looked at to say
    where they count.

    Exit codes: 0 no error; 1 an error: do not rely on pins here; 2 a file that cannot be used.
    """
    answers = [*_local_exceptions(config, policy), *_examine(given_anchors(anchors))]
    if output_format is Format.JSON:
        print_json(
            {
                "facts_checked": CHECKED.isoformat(),
                "checks": [_as_json(answer) for answer in answers],
            }
        )
    else:
        print_grid([_row(answer) for answer in answers])
        print_lines("", _summary(answers))
    return 1 if any(answer.severity is Severity.ERROR for answer in answers) else 0


def _local_exceptions(config: Path | None, policy: Path) -> list[Health]:
    found = given_settings(config).exceptions
    if not found:
        return []
    return list(exceptions(found, policy_if_there(policy), datetime.now(UTC)))


def _examine(anchors: tuple[bytes, ...] | None) -> list[Health]:
    answers = [
        *health.versions(),
        access := health.verified_path_access(),
        *health.overrides(os.environ),
        *health.patches(),
        *health.platform_store(),
        *health.strictness(anchors or ()),
    ]
    if access.severity is None:
        # Without access to the path, enforcement cannot even be imported.
        from holdfast.cli.self_test import self_test

        answers += self_test()
    return answers


def _row(answer: Health) -> tuple[str, str, str]:
    detail = f"{answer.detail}\n-> {answer.action}" if answer.action else answer.detail
    return _status(answer), answer.name, detail


def _summary(answers: list[Health]) -> str:
    if any(answer.severity is Severity.ERROR for answer in answers):
        return "Pins cannot be relied on here: see the errors."
    warnings = sum(answer.severity is Severity.WARNING for answer in answers)
    if not warnings:
        return "Pins are enforced here."
    return f"Pins are enforced here; {warnings} warning{'' if warnings == 1 else 's'} to look into."


def _as_json(answer: Health) -> dict[str, object]:
    return {
        "name": answer.name,
        "status": _status(answer),
        "detail": answer.detail,
        "rule": answer.rule,
        "action": answer.action,
        "source": answer.source,
    }


def _status(answer: Health) -> str:
    return answer.severity.value if answer.severity else "ok"
