"""Exported files, taken by the programs that they are for, against live servers.

The same program accepts the server whose key is pinned, and refuses it where another one is.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.formats.from_policy import rules_of
from holdfast.formats.registry import format_named
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

PINS_DO_NOT_MATCH = 90  # curl's CURLE_SSL_PINNEDPUBKEYNOTMATCH
Exported = Callable[[str, Identity], Path]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a CA that the programs trust."""
    root = Authority.new("test root")
    (tmp_path / "ca.pem").write_text(root.pem)
    return root


@pytest.fixture
def identity(authority: Authority) -> Identity:
    """Return what the server shows."""
    return authority.issue("localhost")


@pytest.fixture
def server(identity: Identity) -> Iterator[LabServer]:
    """Return a server for localhost."""
    with LabServer(identity) as running:
        yield running


@pytest.fixture
def exported(tmp_path: Path, authority: Authority) -> Exported:
    """Return a function that exports a policy with the pin of a server's key."""

    def exported(name: str, identity: Identity) -> Path:
        policy = Policy(
            unlisted=Unlisted.ALLOW,
            pin_sets=(
                PinSet(
                    name="local",
                    hosts=(HostPattern.parse("localhost"),),
                    mode=Mode.ENFORCE,
                    leaf=(Pin.parse(identity.spki_pin),),
                    backup=(Pin.of_spki(b"backup"),),
                ),
            ),
        )
        target = format_named(name)
        assert target.write is not None
        file = tmp_path / name
        file.write_bytes(target.write(rules_of(policy, target.semantics).rules, None))
        return file

    return exported


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl")
@pytest.mark.parametrize("name", ["curl", "curl-command"])
def test_curl(
    name: str, exported: Exported, server: LabServer, identity: Identity, tmp_path: Path
) -> None:
    """By its configuration file and by its command line; a mismatch has an exit code of its own."""
    stranger = Authority.new("another").issue("localhost")
    for pinned, expected in ((identity, 0), (stranger, PINS_DO_NOT_MATCH)):
        file = exported(name, pinned)
        pins = ["-K", str(file)]
        if name == "curl-command":
            option, value = file.read_text().split()
            pins = [option, value.strip("'")]
        url = f"https://localhost:{server.port}/"
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "10", "--cacert", str(tmp_path / "ca.pem"), *pins, url],
            check=False,
            capture_output=True,
        )
        assert expected == done.returncode, done.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl")
def test_openssl_with_dane(
    exported: Exported, server: LabServer, identity: Identity, tmp_path: Path
) -> None:
    """Each record of the zone is one that it takes; one of them has to match."""
    for pinned, expected in ((identity, 0), (Authority.new("another").issue("localhost"), 1)):
        records = [
            line.partition(" TLSA ")[2]
            for line in exported("tlsa", pinned).read_text().splitlines()
            if " TLSA " in line
        ]
        assert 2 == len(records)
        done = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"localhost:{server.port}", "-brief"),
                *("-CAfile", str(tmp_path / "ca.pem"), "-verify_return_error"),
                *("-servername", "localhost", "-dane_tlsa_domain", "localhost"),
                *(word for record in records for word in ("-dane_tlsa_rrdata", record)),
            ],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
        )
        assert expected == done.returncode, done.stderr
