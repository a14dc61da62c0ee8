"""`holdfast updates`: make a repository of signed updates, and publish policies in it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.key import read_passphrase
from holdfast.cli.lint import is_public_suffix
from holdfast.cli.options import format_option, path_option, policy_option
from holdfast.cli.output import Format, print_grid, print_json, print_lines
from holdfast.cli.preview import command as preview
from holdfast.errors import HoldfastError, PinFormatError, PolicyError, Problem
from holdfast.findings.finding import Severity
from holdfast.formats.lint import lint
from holdfast.pins.field_readers import moment
from holdfast.pins.pin import Pin
from holdfast.updates.roles import OFFLINE, PROFILES, ROLES, RoleRule

if TYPE_CHECKING:
    from holdfast.updates.publisher import Publisher

_SOON = timedelta(days=14)
_PACKAGES = {"tuf", "securesystemslib", "urllib3"}  # of the extra

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
passphrase_option = path_option(
    "--passphrase-file",
    required=True,
    envvar="HOLDFAST_PASSPHRASE_FILE",
    help="The file whose first line encrypts the keys; else $HOLDFAST_PASSPHRASE_FILE.",
)
keys_option = path_option(
    "--keys",
    multiple=True,
    required=True,
    help="A folder with keys; several may be named.",
)


class _Updates(click.Group):
    """Names the extra that is missing."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            package = (missing.name or "").partition(".")[0]
            if package not in _PACKAGES:
                raise
            raise HoldfastError(
                f"signed updates need the package {package}",
                hint="pip install 'holdfast[updates]'",
            ) from missing


@click.group("updates", cls=_Updates)
def command() -> None:
    """Make a repository of signed updates, and publish policies in it.

    A repository is a folder of static files, for any web server. Clients follow it with
    `holdfast.UpdatedPolicy`.
    """


@command.command("init")
@folder_argument
@path_option("--keys", required=True, help="A new folder for the keys. Never serve it.")
@passphrase_option
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="saas",
    show_default=True,
    help="How many people sign: see docs/updates.md.",
)
@format_option()
def init(
    *, folder: Path, keys: Path, passphrase_file: Path, profile: str, output_format: Format
) -> None:
    """Make keys, and a repository that is signed with them.

    Move the keys of the offline roles (root, targets, emergency, breakglass) to places of their
    own afterwards: those of one threshold to different people.
    """
    from holdfast.updates.key_folder import make_keys
    from holdfast.updates.publisher import Publisher

    if folder.exists() and any(folder.iterdir()):
        raise HoldfastError(f"{folder} is not empty", hint="name a new folder")
    rules = PROFILES[profile]
    made = make_keys(keys, rules, _passphrase(passphrase_file))
    Publisher.created(folder, made, rules, datetime.now(UTC))
    root = folder / "metadata" / "1.root.json"
    if output_format is Format.JSON:
        print_json({"repository": str(folder), "keys": str(keys), "root": str(root)})
        return
    offline = ", ".join(role for role in rules if role in OFFLINE)
    print_lines(
        f"Wrote {folder}, to be served, and {keys}, to be kept.",
        f"Ship {root} with the application.",
        f"Take the keys of {offline} off this machine; pins, snapshot and timestamp sign here.",
    )


@command.command("publish")
@folder_argument
@keys_option
@passphrase_option
@policy_option
@click.option("--rules", is_flag=True, help="More than pins may change: sign with `targets` too.")
@click.option(
    "--refresh",
    type=click.IntRange(60, 604800),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long clients wait before they ask again.",
)
@format_option()
def publish(
    *,
    folder: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    policy: Path,
    rules: bool,
    refresh: int,
    output_format: Format,
) -> None:
    """Publish a policy.

    Without --rules only its pins may differ from what the offline keys have signed. The first
    publication needs --rules. A policy with an error in `holdfast lint` is not published.
    """
    now = datetime.now(UTC)
    document = load_policy(policy)
    errors = [
        one
        for one in lint(document, now=now, public_suffix=is_public_suffix)
        if one.severity is Severity.ERROR
    ]
    if errors:
        raise HoldfastError(
            f"{policy}: {errors[0].place}: {errors[0].reason}",
            hint=f"holdfast lint {policy} says all of it",
        )
    publisher = _opened(folder, keys, passphrase_file)
    done = publisher.publish(document, refresh=timedelta(seconds=refresh), rules=rules)
    if output_format is Format.JSON:
        print_json(
            {
                "serial": done.serial,
                "signed": list(done.signed),
                "changes": [
                    {"kind": one.kind.value, "place": one.place, "change": one.words}
                    for one in done.changes
                ],
            }
        )
        return
    print_lines(*(f"{one.kind.value}: {one.place}: {one.words}" for one in done.changes))
    print_lines(f"Published serial {done.serial}, signed by {', '.join(done.signed)}.")


@command.command("deny")
@folder_argument
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@keys_option
@passphrase_option
@format_option()
def deny(
    *,
    folder: Path,
    pins: tuple[str, ...],
    keys: tuple[Path, ...],
    passphrase_file: Path,
    output_format: Format,
) -> None:
    """Deny keys: clients refuse them from their next refresh on, in every mode.

    It cannot be undone but by the offline keys in a new epoch. Clients do not apply a list that
    leaves nothing of a set.
    """
    denied = [_pin(text) for text in pins]
    after = _opened(folder, keys, passphrase_file).deny(denied)
    if output_format is Format.JSON:
        print_json({"serial": after.serial, "denied": sorted(map(str, after.denied))})
        return
    print_lines(*sorted(map(str, after.denied)))
    print_lines(f"Published deny list {after.serial}.")


@command.command("breakglass")
@folder_argument
@click.argument("sets", metavar="[SET]...", nargs=-1)
@click.option("--until", metavar="TIME", help="When it ends, at most seven days ahead.")
@keys_option
@passphrase_option
@format_option()
def breakglass(
    *,
    folder: Path,
    sets: tuple[str, ...],
    until: str | None,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    output_format: Format,
) -> None:
    """Make pin sets report-only until a time; without SET, end that for all.

    It ends by itself. Private, pins-only and strict sets cannot be opened, and denied keys are
    refused all the same. Each use is reported.
    """
    if bool(sets) is not bool(until):
        raise click.UsageError("name the sets and --until, or neither to end it for all")
    times = dict.fromkeys(sets, _time(until)) if until else {}
    after = _opened(folder, keys, passphrase_file).break_glass(times)
    told = {name: time.isoformat() for name, time in sorted(after.until.items())}
    if output_format is Format.JSON:
        print_json({"serial": after.serial, "until": told})
        return
    print_lines(*(f"{name} is report-only until {time}" for name, time in told.items()))
    print_lines(f"Published break-glass list {after.serial}.")


@command.command("rotate-key")
@folder_argument
@click.argument("role", type=click.Choice(list(ROLES)))
@path_option("--new-keys", required=True, help="A new folder for the new keys of the role.")
@keys_option
@passphrase_option
@format_option()
def rotate_key(
    *,
    folder: Path,
    role: str,
    new_keys: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path,
    output_format: Format,
) -> None:
    """Give a role new keys; what it has signed is signed again with them.

    For root, targets, snapshot and timestamp it takes the keys of root, for the others those of
    targets. No client is locked out: one that was away comes over the old roots.
    """
    from holdfast.updates.key_folder import load_signers, make_keys
    from holdfast.updates.publisher import Publisher

    passphrase, now = _passphrase(passphrase_file), datetime.now(UTC)
    publisher = Publisher.opened(folder, load_signers(keys, passphrase), now)
    number = next(one.keys for one in publisher.status() if one.role == role)
    made = make_keys(new_keys, {role: RoleRule(number, 1, 1)}, passphrase)
    try:
        signed = publisher.rotate_keys(role, made[role])
    except HoldfastError:
        shutil.rmtree(new_keys)  # they protect nothing yet
        raise
    if output_format is Format.JSON:
        print_json({"role": role, "keys": str(new_keys), "signed": list(signed)})
        return
    print_lines(
        f"{role} has new keys, in {new_keys}. Signed {', '.join(signed)}.",
        "Destroy the old ones.",
    )


@command.command("resign")
@folder_argument
@keys_option
@passphrase_option
@format_option()
def resign(
    *, folder: Path, keys: tuple[Path, ...], passphrase_file: Path, output_format: Format
) -> None:
    """Sign the timestamp again, and what is in the last third of its time. Run it each hour."""
    signed = _opened(folder, keys, passphrase_file).resign()
    if output_format is Format.JSON:
        print_json({"signed": list(signed)})
        return
    print_lines(f"Signed {', '.join(signed)}.")


@command.command("status")
@folder_argument
@format_option()
def status(*, folder: Path, output_format: Format) -> int:
    """Say who has to sign what by when.

    Exit codes: 0 all well, 1 something has expired or will within two weeks (a day, for what is
    signed by machines).
    """
    from holdfast.updates.publisher import Publisher

    now = datetime.now(UTC)
    roles = Publisher.opened(folder, {}, now).status()
    due = {
        one.role: one.expires - now < (_SOON if one.role in OFFLINE else timedelta(days=1) / 4)
        for one in roles
    }
    if output_format is Format.JSON:
        print_json(
            [
                {
                    "role": one.role,
                    "version": one.version,
                    "expires": one.expires.isoformat(),
                    "threshold": one.threshold,
                    "keys": one.keys,
                    "due": due[one.role],
                }
                for one in roles
            ]
        )
    else:
        rows = [
            (
                "warning" if due[one.role] else "ok",
                one.role,
                str(one.version),
                f"{one.expires:%Y-%m-%d %H:%M}Z",
                f"{one.threshold} of {one.keys}",
            )
            for one in roles
        ]
        print_grid(rows, headers=("", "ROLE", "VERSION", "SIGN AGAIN BEFORE", "SIGNATURES"))
    return 1 if any(due.values()) else 0


@command.command("seed")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path))
def seed(*, folder: Path, file: Path) -> None:
    """Write the published policy, with its order, as the seed of an application."""
    from holdfast.updates.document import bundle_to_bytes
    from holdfast.updates.publisher import Publisher

    publisher = Publisher.opened(folder, {}, datetime.now(UTC))
    bundle = publisher.bundle()
    if bundle is None:
        raise HoldfastError(f"{folder} has no policy yet", hint="publish one first")
    document = {
        "format": 1,
        "epoch": publisher.epoch,
        "bundle": json.loads(bundle_to_bytes(bundle)),
    }
    file.write_text(json.dumps(document, indent=1) + "\n", "ascii")
    print_lines(f"Wrote {file}: serial {bundle.serial} of epoch {publisher.epoch}.")


command.add_command(preview)


def _opened(folder: Path, keys: tuple[Path, ...], passphrase_file: Path) -> Publisher:
    from holdfast.updates.key_folder import load_signers
    from holdfast.updates.publisher import Publisher

    signers = load_signers(keys, _passphrase(passphrase_file))
    return Publisher.opened(folder, signers, datetime.now(UTC))


def _passphrase(file: Path) -> bytes:
    return read_passphrase(file) or b""


def _time(text: str) -> datetime:
    problems: list[Problem] = []
    time = moment(text, "--until", problems)
    if time is None:
        raise PolicyError(problems)
    return time


def _pin(text: str) -> Pin:
    try:
        return Pin.parse(text)
    except PinFormatError as error:
        raise HoldfastError(f"{text}: {error.message}", hint=error.hint) from error
