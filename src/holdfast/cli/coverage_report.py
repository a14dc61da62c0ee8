"""What `holdfast run --coverage` says at the end, on stderr: stdout is the program's."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from holdfast.cli.output import Format, say
from holdfast.findings.coverage import Coverage

__all__ = ["print_coverage"]

_MOST_NAMES = 20  # on one line; all of them are in the JSON


def print_coverage(seen: Coverage, output_format: Format) -> None:
    """Print what was pinned, what was not, and what could not be covered."""
    if output_format is Format.JSON:
        sys.stderr.write(json.dumps(seen.as_json(), indent=2) + "\n")
        return
    say("holdfast: coverage")
    for title, hosts in (
        ("pinned", seen.pinned),
        ("let pass, pins did not match", seen.reported),
        ("let through, unlisted", seen.unlisted),
        ("refused", seen.refused),
    ):
        say(f"  {title}: {_listed(hosts)}")
    for name, refused in seen.stacks:
        state = "refused at import" if refused else "NOT COVERED: it does not use Python's ssl"
        say(f"  TLS library {name}: {state}")
    for name, reason in seen.programs:
        say(f"  program {name}: NOT COVERED: {reason}")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    return f"{shown} and {more} more (--json has them)" if more > 0 else shown
