"""`holdfast updates sign`: see what a request would change, and sign it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import keys_in, passphrase_option, signed_words
from holdfast.errors import UpdateError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

    from holdfast.updates.request import Request
    from holdfast.updates.rule_comparison import Change

_LARGEST_ROOT = 512_000  # bytes, as clients take them
_PIECE = 390  # characters, each of which may be shown as ten


@click.command("sign")
@click.argument("file", metavar="REQUEST", type=click.Path(path_type=Path))
@path_option("--keys", multiple=True, help="A folder with keys; without it nothing is signed.")
@passphrase_option
@path_option("--root", help="Root metadata that you know: what is not from there is not signed.")
@click.option("--yes", is_flag=True, help="Do not ask: I have seen what changes.")
@format_option()
def sign(
    *,
    file: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    root: Path | None,
    yes: bool,
    output_format: Format,
) -> None:
    """Sign a request, after it has been told what it changes.

    No repository and no network is needed. What is told is worked out from what would be signed;
    what weakens stands first. Give --root: without it the request itself says what is in force now.
    Without --keys it is only told.
    """
    from holdfast.updates.request_changes import request_changes
    from holdfast.updates.request_signatures import signatures, verify_base
    from holdfast.updates.signing import sign_request, signable
    from holdfast.updates.staged_repository import read_request, write_request

    request = read_request(file)
    verify_base(request, _trusted(root) if root is not None else None)
    found = request_changes(request, datetime.now(UTC))
    base = _base(request, root)
    if output_format is Format.TABLE:
        for one in found:
            print_lines(*_whole(f"{one.kind.value}: {one.place}: {one.words}"))
        print_lines(base)
        print_lines(*map(str, signatures(request)))
    elif keys and not yes:
        raise click.UsageError(
            "nobody reads JSON before it is signed: look without --keys first, then give --yes",
            click.get_current_context(),
        )
    if not keys:
        if output_format is Format.JSON:
            print_json(_told(found, base, request, ()))
        return
    signers = keys_in(keys, passphrase_file)
    mine = signable(request, signers)
    if not mine:
        raise UpdateError(
            "none of these keys may sign this request, or each has",
            hint="check --keys: whose signatures are missing is said above",
        )
    if not yes:
        _ask(f"Sign {signed_words(mine)}?")
    signed = sign_request(request, signers)
    write_request(file, request)
    if output_format is Format.JSON:
        print_json(_told(found, base, request, [role for role, _ in signed]))
        return
    print_lines(f"Signed {signed_words(signed)}.", *map(str, signatures(request)))


def _whole(line: str) -> Iterator[str]:
    """Yield a line in pieces none of which is cut: nothing is signed unseen."""
    yield line[:_PIECE]
    for start in range(_PIECE, len(line), _PIECE):
        yield f"    {line[start : start + _PIECE]}"


def _trusted(file: Path) -> Metadata[Root]:
    from tuf.api.metadata import Metadata, Root

    try:
        with file.open("rb") as stream:
            metadata: Metadata[Root] = Metadata.from_bytes(stream.read(_LARGEST_ROOT))
    except Exception as error:  # whatever damaged metadata make python-tuf raise
        raise UpdateError(
            f"{file} cannot be read as root metadata: {error}",
            hint="it is the root.json that applications are shipped with, or a later one",
        ) from error
    if not isinstance(metadata.signed, Root):
        raise UpdateError(f"{file} is no root metadata", hint="it is called N.root.json")
    return metadata


def _base(request: Request, root: Path | None) -> str:
    from holdfast.updates.key_card import owner_of

    before = request.root_before
    if before is None:
        return "It makes a new repository: compare the keys above with their owners' cards."
    if root is not None:
        return f"It builds on version {before.version} of the root, which comes from {root}."
    keys = (before.get_key(keyid) for keyid in before.roles["root"].keyids)
    named = ", ".join(f"{owner_of(key)} ({key.keyid})" for key in keys)
    return (
        f"It builds on version {before.version} of a root that was compared with none "
        f"(give --root), of the keys {named}."
    )


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is nobody to ask: give --yes after reading what changes",
            click.get_current_context(),
        )
    if not click.confirm(question, err=True):
        raise UpdateError("nothing was signed")


def _told(
    found: Sequence[Change], base: str, request: Request, roles: Sequence[str]
) -> dict[str, object]:
    from holdfast.updates.key_card import owner_of
    from holdfast.updates.request_signatures import signatures

    return {
        "changes": [
            {"kind": one.kind.value, "place": one.place, "change": one.words} for one in found
        ],
        "base": base,
        "signed": list(dict.fromkeys(roles)),
        "signatures": [
            {
                "role": state.role,
                "threshold": state.threshold,
                "signed": list(map(owner_of, state.signed)),
                "unsigned": list(map(owner_of, state.unsigned)),
                "missing": state.missing,
            }
            for state in signatures(request)
        ],
    }
