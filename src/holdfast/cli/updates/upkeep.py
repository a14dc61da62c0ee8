"""`holdfast updates resign`, `status` and `seed`: what is done between publications."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from holdfast.cli.options import format_option
from holdfast.cli.output import Format, print_grid, print_json, print_lines
from holdfast.cli.updates.options import (
    folder_argument,
    keys_option,
    opened,
    passphrase_option,
    request_file,
    signed_by,
)
from holdfast.errors import HoldfastError
from holdfast.updates.roles import OFFLINE, ROLES
from holdfast.updates.rule_comparison import in_words

_SOON = timedelta(days=14)


@click.command("resign")
@folder_argument
@keys_option
@click.argument("roles", metavar="[ROLE]...", nargs=-1, type=click.Choice(list(ROLES)))
@passphrase_option
@format_option()
def resign(
    *,
    folder: Path,
    roles: tuple[str, ...],
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Sign the timestamp again, and what is in the last third of its time. Run it each hour.

    With ROLE those are signed again, whenever they are due.
    """
    signed = opened(folder, keys, passphrase_file).resign(roles)
    if output_format is Format.JSON:
        print_json({"signed": list(signed)})
        return
    if request_file() is None:
        print_lines(f"Signed {', '.join(signed)}.")
    else:
        print_lines(f"Staged, {signed_by(signed)}.")


@click.command("status")
@folder_argument
@format_option()
def status(*, folder: Path, output_format: Format) -> int:
    """Say who has to sign what by when, and what is being rolled out.

    Exit codes: 0 all well, 1 something has expired or will within two weeks (a day, for what is
    signed by machines).
    """
    from holdfast.updates.publisher import Publisher
    from holdfast.updates.weakening import changes

    now = datetime.now(UTC)
    publisher = Publisher.opened(folder, {}, now)
    roles, bundle = publisher.status(), publisher.bundle()
    candidate = bundle.candidate if bundle is not None else None
    due = {
        one.role: one.expires - now < (_SOON if one.role in OFFLINE else timedelta(days=1) / 4)
        for one in roles
    }
    if output_format is Format.JSON:
        print_json(
            {
                "serial": bundle.serial if bundle is not None else None,
                "candidate_percent": candidate.percent if candidate is not None else None,
                "roles": [
                    {
                        "role": one.role,
                        "version": one.version,
                        "expires": one.expires.isoformat(),
                        "threshold": one.threshold,
                        "keys": one.keys,
                        "owners": list(one.owners),
                        "differs": list(one.differs),
                        "due": due[one.role],
                    }
                    for one in roles
                ],
            }
        )
    else:
        rows = [
            (
                "warning" if due[one.role] else "ok",
                one.role,
                str(one.version),
                f"{one.expires:%Y-%m-%d %H:%M}Z",
                f"{one.threshold} of {', '.join(one.owners)}",
            )
            for one in roles
        ]
        print_grid(rows, headers=("", "ROLE", "VERSION", "SIGN AGAIN BEFORE", "SIGNATURES"))
        print_lines(*(f"{one.role}: {words}" for one in roles for words in one.differs))
        if candidate is not None and bundle is not None:
            words = in_words(changes(bundle.policy, candidate.policy))
            print_lines(f"A candidate is rolled out to {candidate.percent} % of clients: {words}")
    return 1 if any(due.values()) else 0


@click.command("seed")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path))
def seed(*, folder: Path, file: Path) -> None:
    """Write the published policy, with its order, as the seed of an application.

    While a candidate is rolled out that is the stable policy.
    """
    from holdfast.updates.document import bundle_to_bytes
    from holdfast.updates.publisher import Publisher

    publisher = Publisher.opened(folder, {}, datetime.now(UTC))
    bundle = publisher.bundle()
    if bundle is None:
        raise HoldfastError(f"{folder} has no policy yet", hint="publish one first")
    document = {
        "format": 1,
        "epoch": publisher.epoch,
        "bundle": json.loads(bundle_to_bytes(replace(bundle, candidate=None))),
    }
    file.write_text(json.dumps(document, indent=1) + "\n", "ascii")
    print_lines(f"Wrote {file}: serial {bundle.serial} of epoch {publisher.epoch}.")
