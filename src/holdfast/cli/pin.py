"""`holdfast pin`: look at hosts, say what speaks against pinning them, and write a policy."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.certificates.key_file import spki_from_key_file
from holdfast.certificates.load_chain import read_file
from holdfast.cli.first_look import Look, Refusal, look_at_file, look_at_servers
from holdfast.cli.options import (
    anchors_option,
    format_option,
    path_option,
    policy_option,
    starttls_option,
    timeout_option,
)
from holdfast.cli.output import Format, complain, print_json, progress
from holdfast.cli.pin_report import Written, key_pin, print_seen, refused_as_json
from holdfast.cli.pins_file import NewSet, PinsFile
from holdfast.cli.private_key import NewKey
from holdfast.cli.trust import given_anchors
from holdfast.errors import CertificateError, HoldfastError
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.pin import Pin

_Noted = tuple[Pin, str]


def _not_empty(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty", context, option)
    return value


@click.command("pin")
@click.argument("hosts", metavar="HOST[:PORT]...", nargs=-1, required=True)
@policy_option
@path_option("--cert", help="Read the chain from this PEM file instead of connecting.")
@anchors_option("Trust these CAs instead of the public ones, for a server with a private CA.")
@path_option(
    "--backup",
    "backups",
    multiple=True,
    help="A key held in reserve: private or public key, request or certificate.",
)
@path_option("--new-backup", help="Make a backup key in this new file (EC P-256, mode 0600).")
@click.option(
    "--ca",
    "pin_ca",
    is_flag=True,
    help="Pin the CA that issued the server's certificate, not the server's key.",
)
@click.option(
    "--accept-lock-out",
    is_flag=True,
    help="Enforce a single pin. A lost key locks every client out.",
)
@click.option("--name", callback=_not_empty, help="Put all hosts into one pin set of this name.")
@click.option("--owner", callback=_not_empty, help="Whom to ask about the keys, for the policy.")
@starttls_option
@click.option("--address", metavar="IP", help="Connect to this address instead of resolving HOST.")
@timeout_option(10.0)
@format_option()
def command(  # noqa: PLR0913 (one for each option)
    *,
    hosts: tuple[str, ...],
    policy: Path,
    cert: Path | None,
    anchors: Path | None,
    backups: tuple[Path, ...],
    new_backup: Path | None,
    pin_ca: bool,
    accept_lock_out: bool,
    name: str | None,
    owner: str | None,
    starttls: str | None,
    address: str | None,
    timeout: float,
    output_format: Format,
) -> int:
    """Look at hosts and write pins for them.

    HOST may have a scheme (https, smtp, imap, pop3 or ftp) and a port. Every address of a host is
    looked at. Each host gets a pin set of its own, or all together one with --name. Either all
    hosts are pinned or none is.

    Without a backup the set is report-only: NOT ENFORCED. With --backup or --new-backup it is
    enforced at once.

    --ca pins the key of the CA directly above the server's certificate, and the backups are
    certificates of CAs. Public CAs mostly have an intermediate there, and replace it without
    notice: give the roots of every CA that may issue for the host, old and new ones, each with
    --backup.

    A path that ends neither in a public root nor in --anchors is refused (exit code 1), since an
    inspection proxy may be in between. What is known against pinning the host is shown.
    """
    endpoints = _endpoints(hosts, starttls)
    _check_usage(
        endpoints, policy, cert=cert, address=address, pin_ca=pin_ca, new_backup=new_backup
    )
    file = PinsFile(policy)
    file.check(name, [endpoint.host for endpoint in endpoints])
    reserve = [_backup_pin(path, pin_ca=pin_ca) for path in backups]
    new_key = NewKey.make() if new_backup else None
    if new_key and new_backup:
        reserve.append((new_key.pin, f"{new_backup}, made {_today()}"))
    trusted = given_anchors(anchors)
    if cert:
        looks = [look_at_file(endpoints[0], cert, trusted)]
    else:
        with progress(len(endpoints), "looking") as done:
            looks = look_at_servers(endpoints, trusted, address=address, timeout=timeout, done=done)
    if refusals := [look for look in looks if isinstance(look, Refusal)]:
        for refusal in refusals:
            complain(f"{refusal.endpoint}: {refusal.reason}", refusal.hint)
        if output_format is Format.JSON:
            print_json(refused_as_json(policy, refusals))
        return 1 if any(refusal.determined for refusal in refusals) else 3
    seen = [look for look in looks if isinstance(look, Look)]
    sets = _sets(file, seen, reserve, name=name, owner=owner, pin_ca=pin_ca, alone=accept_lock_out)

    if output_format is not Format.JSON:
        print_seen(seen, sets)
    file.write(sets, also=new_key.written(new_backup) if new_key and new_backup else None)
    written = Written(policy, seen, sets, new_backup=new_backup, anchors=anchors)
    if output_format is Format.JSON:
        print_json(written.as_json())
    else:
        written.print_for_people()
    return 0


def _endpoints(hosts: tuple[str, ...], starttls: str | None) -> tuple[Endpoint, ...]:
    endpoints = (Endpoint.parse(host, default_scheme=starttls or "https") for host in hosts)
    return tuple(dict.fromkeys(endpoints))


def _check_usage(
    endpoints: tuple[Endpoint, ...],
    policy: Path,
    *,
    cert: Path | None,
    address: str | None,
    pin_ca: bool,
    new_backup: Path | None,
) -> None:
    """Refuse options that contradict each other, and a new key that would replace a file."""
    context = click.get_current_context()
    if cert and len(endpoints) > 1:
        raise click.UsageError("--cert is the chain of one HOST: give only one", context)
    if cert and address:
        raise click.UsageError("--cert reads a file: --address has no meaning with it", context)
    if address and len(endpoints) > 1:
        raise click.UsageError("--address is of one HOST: give only one", context)
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise click.UsageError(f"--address {address} is not an IP address", context) from None
    if pin_ca and new_backup:
        raise click.UsageError(
            "with --ca a backup is another CA's certificate: give it with --backup", context
        )
    if new_backup and os.path.realpath(new_backup) == os.path.realpath(policy):
        raise click.UsageError("--new-backup would be overwritten by --policy", context)
    if new_backup and os.path.lexists(new_backup):
        raise CertificateError(
            f"{new_backup} exists, and a key is never overwritten",
            hint=f"choose another name, or use the key that is there: --backup {new_backup}",
        )


def _backup_pin(path: Path, *, pin_ca: bool) -> _Noted:
    kind, spki = spki_from_key_file(read_file(path), str(path))
    if pin_ca and kind != "certificate":
        raise CertificateError(
            f"{path} is a {kind}, not a CA's certificate",
            hint="with --ca a backup is the certificate of another CA that may issue for the host",
        )
    return Pin.of_spki(spki), f"{path}, added {_today()}"


def _sets(
    file: PinsFile,
    looks: list[Look],
    reserve: list[_Noted],
    *,
    name: str | None,
    owner: str | None,
    pin_ca: bool,
    alone: bool,
) -> list[NewSet]:
    """Make one set for each host, or one for all of them when it has a name."""
    by_host: dict[str, list[Look]] = {}
    for look in looks:
        by_host.setdefault(name or look.endpoint.host, []).append(look)
    sets = []
    for group in by_host.values():
        hosts = tuple(dict.fromkeys(look.endpoint.host for look in group))
        seen = _pins_seen(group, pin_ca=pin_ca)
        for pin, source in reserve:
            if pin in dict(seen):
                raise HoldfastError(
                    f"the backup {source.partition(',')[0]} is the key in use at {hosts[0]}",
                    hint="a backup is another key, kept elsewhere: make one with --new-backup",
                )
        sets.append(
            NewSet(
                name=name or file.set_name_for(hosts[0]),
                hosts=hosts,
                leaf=() if pin_ca else seen,
                backup=() if pin_ca else tuple(reserve),
                ca=(*seen, *reserve) if pin_ca else (),
                endpoints=_worth_noting(group),
                owner=owner,
                accept_lock_out=alone,
            )
        )
    return sets


def _pins_seen(looks: list[Look], *, pin_ca: bool) -> tuple[_Noted, ...]:
    """Return the pins of the keys in use, each once, with where it was seen first."""
    pins: dict[Pin, str] = {}
    for look in looks:
        for place, chain in look.paths:
            if pin_ca and len(chain.certificates) == 1:
                raise HoldfastError(
                    f"{look.endpoint}: the path has no CA, only the server's own certificate",
                    hint="leave --ca away",
                )
            certificate = chain.certificates[1 if pin_ca else 0]
            pin = key_pin(certificate)
            pins.setdefault(pin, f"{look.endpoint.host} ({place}), seen {_today()}")
    return tuple(pins.items())


def _worth_noting(looks: list[Look]) -> tuple[str, ...]:
    """Return the endpoints that a probe would not find by itself."""
    endpoints = [look.endpoint for look in looks]
    if all(endpoint.scheme == "https" and endpoint.port == 443 for endpoint in endpoints):
        return ()
    return tuple(map(str, endpoints))


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
