import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import Signer, Validity, ca_certificate
from holdfast.lab.server import LabServer

Run = Callable[..., subprocess.CompletedProcess[str]]

OTHER = "sha256/lKzmQvCfFYgus66oO8jkt+EJWNkzjYcweN43ltWlFYc="


@pytest.fixture
def authority(folder: Path) -> Authority:
    """Return an issuing CA that calls itself Let's Encrypt."""
    root = Authority.new("test root")
    (folder / "ca.pem").write_text(root.pem)
    issuing = root.intermediate("YE9")
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Let's Encrypt")])
    certificate = ca_certificate(
        name,
        issuing.certificate.public_key(),
        Signer(root.key, root.certificate),
        Validity.of(None, None),
    )
    return replace(issuing, certificate=certificate, sent=(certificate,))


def android(*pins: str, host: str = "localhost") -> str:
    """Return a configuration with these pins."""
    listed = "".join(f'<pin digest="SHA-256">{pin.partition("/")[2]}</pin>' for pin in pins)
    return (
        f"<network-security-config><domain-config><domain>{host}</domain>"
        f"<pin-set>{listed}</pin-set></domain-config></network-security-config>"
    )


def rules(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the rules that are told, but for the note about updates."""
    return [one["rule"] for one in json.loads(ran.stdout) if one["rule"] != "HF163"]


def test_pins_of_a_foreign_file(
    run: Run, folder: Path, authority: Authority, identity: Identity, place: str
) -> None:
    """All in the chain means none in reserve; an intermediate of this CA will be replaced."""
    (folder / "used.xml").write_text(android(identity.spki_pin, authority.spki_pin))
    (folder / "kept.xml").write_text(android(identity.spki_pin, OTHER))
    live = ("--live", "--endpoint", place, "--anchors", "ca.pem", "--json")
    used, kept = (run("lint", name, *live) for name in ("used.xml", "kept.xml"))

    assert ["HF118", "HF119"] == rules(used)
    assert "O=Let's Encrypt is an intermediate of Let's Encrypt" in used.stdout
    assert [] == rules(kept)
    assert (0, 0) == (used.returncode, kept.returncode)
    assert [] == rules(run("lint", "used.xml", "--json"))


def test_the_presented_chain_is_enough(
    run: Run, folder: Path, authority: Authority, identity: Identity, place: str
) -> None:
    """Whether it verifies is for `holdfast check`."""
    (folder / "used.xml").write_text(android(identity.spki_pin, authority.spki_pin))

    assert ["HF118", "HF119"] == rules(
        run("lint", "used.xml", "--live", "--endpoint", place, "--json")
    )


def test_backups_and_certificates_of_a_policy(
    run: Run, folder: Path, authority: Authority, identity: Identity, place: str
) -> None:
    """The policy's own endpoints are visited, each for its set."""
    (folder / "pins.toml").write_text(
        f"""[holdfast]
format = 1
unlisted = "refuse"
[pin_set.bank]
hosts = ["localhost"]
mode = "enforce"
leaf = ["{identity.cert_pin}"]
backup = ["{authority.spki_pin}"]
endpoints = ["https://{place}"]
owner = "bank team"
"""
    )
    ran = run("lint", "--live", "--anchors", "ca.pem", "--json")

    assert ["HF105", "HF118", "HF127", "HF119"] == rules(ran)
    assert "pin_set.bank.backup[0]" == json.loads(ran.stdout)[1]["place"]


def test_pins_without_a_host(run: Run, folder: Path, identity: Identity, place: str) -> None:
    """They are for whatever endpoint is named, and for none without."""
    (folder / "curlrc").write_text(f'pinnedpubkey = "{identity.spki_pin.replace("/", "//", 1)}"\n')
    named = run("lint", "curlrc", "--live", "--endpoint", place, "--json")
    without = run("lint", "curlrc", "--live", "--json")

    assert (["HF116"], 0) == (rules(named), named.returncode)
    assert (["HF116"], 3) == (rules(without), without.returncode)
    assert "--endpoint" in without.stderr


def test_each_endpoint_is_for_the_pins_of_its_host(
    run: Run, folder: Path, identity: Identity, place: str
) -> None:
    """Not for those of other hosts; a file that cannot be used has none."""
    shop = android(OTHER, identity.spki_pin, host="shop.test")
    here = android(identity.spki_pin, OTHER)
    both = here.replace("</network-security-config>", shop.partition(">")[2])
    (folder / "both.xml").write_text(both)
    (folder / "pins.toml").write_text(
        f"""[holdfast]
format = 1
unlisted = "refuse"
[pin_set.here]
hosts = ["localhost"]
mode = "enforce"
leaf = ["{OTHER}"]
backup = ["{identity.spki_pin}"]
[pin_set.shop]
hosts = ["shop.test"]
mode = "enforce"
leaf = ["{OTHER}"]
backup = ["{identity.spki_pin}"]
"""
    )
    (folder / "broken.xml").write_text("<network-security-config>")
    live = ("--live", "--endpoint", place, "--anchors", "ca.pem", "--json")

    assert [] == rules(run("lint", "both.xml", *live))
    assert ["pin_set.here.backup[0]"] == [
        one["place"]
        for one in json.loads(run("lint", "pins.toml", *live).stdout)
        if one["rule"] == "HF118"
    ]
    broken = run("lint", "broken.xml", *live)
    assert (["HF100"], 2) == (rules(broken), broken.returncode)


def test_silence_is_undetermined(
    run: Run, folder: Path, identity: Identity, server: LabServer, place: str
) -> None:
    """Code 3, and a note in each format, unless something worse is found."""
    server.close()
    (folder / "used.xml").write_text(android(identity.spki_pin, OTHER))
    (folder / "over.xml").write_text(
        android(identity.spki_pin, OTHER).replace("<pin-set>", '<pin-set expiration="2020-01-01">')
    )
    live = ("--live", "--endpoint", place)
    silent, worse = (run("lint", name, *live, "--json") for name in ("used.xml", "over.xml"))

    assert (["HF208"], 3) == (rules(silent), silent.returncode)
    assert (["HF120", "HF208"], 1) == (rules(worse), worse.returncode)
    assert "HF208" in run("lint", "used.xml", *live, "--format", "sarif").stdout


def test_where_to_look_is_for_live_only(run: Run, folder: Path) -> None:
    """And the hosts of a file are looked at on port 443."""
    (folder / "a.xml").write_text(android(OTHER, host="host.invalid"))

    offline = run("lint", "a.xml", "--endpoint", "a.test")
    live = run("lint", "a.xml", "--live", "--timeout", "5", "--json")

    assert (2, "") == (offline.returncode, offline.stdout)
    assert "write --live too" in offline.stderr
    assert "https://host.invalid:443" in live.stdout
