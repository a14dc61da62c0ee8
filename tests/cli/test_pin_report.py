import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.certificates import trust_anchors
from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.spki import chain_certificate
from holdfast.cli.pins_file import PinsFile
from holdfast.errors import HoldfastError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_path_is_shown_with_the_pinned_key_marked(
    run: Run, server: LabServer, place: str, identity: Identity, authority: Authority
) -> None:
    """People see each certificate with its pin, and which one was pinned."""
    lines = run("pin", place, "--anchors", "ca.pem").stdout.splitlines()

    until = f"{identity.certificate.not_valid_after_utc:%Y-%m-%d}"
    assert [
        f"https://{place} at 127.0.0.1",
        f"  leaf    CN=localhost (EC P-256, until {until})",
        f"          {identity.spki_pin}  <- pinned",
        f"  ca      CN=test issuing CA (EC P-256, until {until})",
        f"          {authority.spki_pin}",
        f"  anchor  CN=test root (EC P-256, until {until})",
    ] == lines[:6]


def test_next_steps_can_be_pasted(run: Run, place: str) -> None:
    """Clients and checks of a private CA need it too, and the lines for that stand alone."""
    out = run("pin", place, "--anchors", "ca.pem").stdout

    assert "\n  PinningContext(policy, public_anchors='ca.pem')\n" in out
    assert "\n  holdfast check --anchors ca.pem\n" in out


def test_hints_against_pinning_are_shown(run: Run, authority: Authority) -> None:
    """What speaks against pinning the host is a warning, for people and programs."""
    with LabServer(authority.issue("localhost", "*.example.com")) as server:
        place = f"localhost:{server.port}"
        people = run("pin", place, "--anchors", "ca.pem", "--policy", "a.toml")
        program = run("pin", place, "--anchors", "ca.pem", "--policy", "b.toml", "--json")

    assert "warning  HF305" in people.stdout
    assert ["HF305"] == [finding["rule"] for finding in json.loads(program.stdout)["findings"]]


def test_lone_intermediate_of_a_public_ca_is_told_in_time(
    run: Run, folder: Path, place: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--ca` warns before anything is written, unless a root of the path is pinned as well."""
    root = pem_certificates((folder / "ca.pem").read_bytes(), "ca.pem")[0]
    roots = frozenset({chain_certificate(root).spki_sha256})
    monkeypatch.setattr(trust_anchors, "public_root_spki", lambda: roots)
    (folder / "other.pem").write_text(Authority.new("another CA").pem)
    pin_ca = ("pin", place, "--anchors", "ca.pem", "--ca")

    lone = run(*pin_ca, "--backup", "other.pem", "--policy", "a.toml", "--json")
    rooted = run(*pin_ca, "--backup", "ca.pem", "--policy", "b.toml", "--json")
    leaf = run(*pin_ca[:-1], "--policy", "c.toml", "--json")
    monkeypatch.setattr(PinsFile, "write", _refuse)
    refused = run(*pin_ca, "--policy", "d.toml")

    assert [["HF307"], [], []] == [
        [finding["rule"] for finding in json.loads(ran.stdout)["findings"]]
        for ran in (lone, rooted, leaf)
    ]
    assert (2, True) == (refused.returncode, "warning  HF307" in refused.stdout)


def _refuse(*_arguments: object, **_options: object) -> None:
    raise HoldfastError("nothing was written")


def test_report_as_json(run: Run, folder: Path, place: str, identity: Identity) -> None:
    """Programs get what was written, what was seen, and that it is to be confirmed."""
    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key", "--json")
    report = json.loads(ran.stdout)

    (written,) = report["pin_sets"]
    (endpoint,) = report["endpoints"]
    (seen,) = endpoint["seen"]
    assert {
        "policy",
        "written",
        "pin_sets",
        "endpoints",
        "new_backup",
        "findings",
        "confirm",
    } == report.keys()
    assert ("pins.toml", True, "next.key") == (
        report["policy"],
        report["written"],
        report["new_backup"],
    )
    assert ("localhost", ["localhost"], "enforce", [identity.spki_pin], []) == (
        written["name"],
        written["hosts"],
        written["mode"],
        written["leaf"],
        written["ca"],
    )
    assert (f"https://{place}", "127.0.0.1") == (endpoint["endpoint"], seen["at"])
    assert ["CN=localhost", "CN=test issuing CA", "CN=test root"] == [
        link["subject"] for link in seen["path"]
    ]
    assert (0, "") == (ran.returncode, ran.stderr)
