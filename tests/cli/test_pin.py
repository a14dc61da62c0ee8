import json
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.private_key import NewKey
from holdfast.lab.authorities import Authority, Identity, new_key, self_signed
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode

Run = Callable[..., subprocess.CompletedProcess[str]]


def _sets(folder: Path) -> dict[str, dict[str, object]]:
    sets: dict[str, dict[str, object]] = tomllib.loads((folder / "pins.toml").read_text())[
        "pin_set"
    ]
    return sets


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_new_backup_enforces_at_once(
    run: Run, folder: Path, place: str, identity: Identity
) -> None:
    """One step pins the key in use, makes a backup key and writes an enforced set."""
    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key")

    (pin_set,) = load_policy(folder / "pins.toml").pin_sets
    backup = run("key", "pin", "next.key").stdout.split()[0]
    assert (Mode.ENFORCE, [identity.spki_pin], [backup]) == (
        pin_set.mode,
        list(map(str, pin_set.leaf)),
        list(map(str, pin_set.backup)),
    )
    assert [f"https://{place}"] == list(map(str, pin_set.endpoints))
    assert "Wrote pins.toml: pin set localhost for localhost, enforced." in ran.stdout
    assert "Confirm this pin with the server's owner" in ran.stdout
    assert (0, "", 0o600) == (
        ran.returncode,
        ran.stderr,
        (folder / "next.key").stat().st_mode & 0o777,
    )


def test_without_a_backup_nothing_is_enforced(run: Run, folder: Path, place: str) -> None:
    """A single pin is written as report-only, and both the text and the file say so."""
    ran = run("pin", place, "--anchors", "ca.pem")

    assert "report-only: NOT ENFORCED." in ran.stdout
    assert "holdfast key new next.key" in ran.stdout
    assert "NOT ENFORCED" in (folder / "pins.toml").read_text()
    assert "report-only" == _sets(folder)["localhost"]["mode"]


def test_lock_out_can_be_accepted(run: Run, folder: Path, place: str) -> None:
    """The only other way to enforce is to accept lock-out in so many words."""
    ran = run("pin", place, "--anchors", "ca.pem", "--accept-lock-out")

    assert "enforced with a single pin: lock-out accepted." in ran.stdout
    assert "I accept lock-out" == _sets(folder)["localhost"]["single_pin"]


@pytest.mark.parametrize("form", ["key", "pub", "csr", "pem"])
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_backup_in_any_form(
    run: Run, folder: Path, place: str, authority: Authority, form: str
) -> None:
    """A backup may be a private key, a public key, a request or a certificate."""
    spare = authority.issue("spare")
    (folder / "b.key").write_text(spare.key_pem)
    (folder / "b.pem").write_text(spare.with_chain().chain_pem)
    for arguments in (
        ("pkey", "-in", "b.key", "-pubout", "-out", "b.pub"),
        ("req", "-new", "-key", "b.key", "-subj", "/CN=x", "-out", "b.csr"),
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    ran = run("pin", place, "--anchors", "ca.pem", "--backup", f"b.{form}")

    assert 0 == ran.returncode
    assert [spare.spki_pin] == _sets(folder)["localhost"]["backup"]
    assert "enforce" == _sets(folder)["localhost"]["mode"]


def test_key_in_use_is_no_backup(run: Run, folder: Path, place: str, identity: Identity) -> None:
    """The same key twice is refused before anything is written."""
    (folder / "b.key").write_text(identity.key_pem)

    ran = run("pin", place, "--anchors", "ca.pem", "--backup", "b.key")

    assert "the backup b.key is the key in use at localhost" in ran.stderr
    assert (2, {"ca.pem", "b.key"}) == (ran.returncode, _files(folder))


def test_existing_key_is_refused_before_connecting(
    run: Run, folder: Path, place: str, server: LabServer
) -> None:
    """`--new-backup` never overwrites; the server is not even asked."""
    (folder / "next.key").write_text("precious")

    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key")

    assert "next.key exists, and a key is never overwritten" in ran.stderr
    assert (2, "precious") == (ran.returncode, (folder / "next.key").read_text())
    assert () == server.connections
    assert {"ca.pem", "next.key"} == _files(folder)


def test_inspection_is_refused(
    run: Run, folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that only this machine vouches for is code 1; neither key nor policy is made."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))

    ran = run("pin", place, "--new-backup", "next.key")

    assert (
        f"holdfast: error: https://{place}: verified by this machine, but its anchor CN=test root "
        "is not a public root: an inspection proxy looks like this\n"
        "holdfast: hint: pin from a network without inspection; "
        "if this anchor is your own CA, give it with --anchors FILE\n"
    ) == ran.stderr
    assert (1, "", {"ca.pem"}) == (ran.returncode, ran.stdout, _files(folder))


def test_refusal_as_json(run: Run, folder: Path, place: str) -> None:
    """As JSON a refusal says that nothing was written, and why."""
    report = json.loads(run("pin", place, "--json").stdout)

    (refused,) = report["refused"]
    assert (False, f"https://{place}", True) == (
        report["written"],
        refused["endpoint"],
        refused["determined"],
    )


def test_nothing_is_written_when_one_host_fails(run: Run, folder: Path, place: str) -> None:
    """Of several hosts all are pinned or none; a host that cannot be reached alone is code 3."""
    unreachable = run("pin", place, "localhost:1", "--anchors", "ca.pem")
    untrusted = run("pin", place, "localhost:1")

    assert (3, 1) == (unreachable.returncode, untrusted.returncode)
    assert {"ca.pem"} == _files(folder)


def test_host_is_added_to_an_existing_file(run: Run, folder: Path, place: str) -> None:
    """What stands in the file stays, comments too."""
    before = '# ours\n[holdfast]  # head\nformat = 1\nunlisted = "refuse"\n'
    (folder / "pins.toml").write_text(before)

    ran = run("pin", place, "--anchors", "ca.pem", "--owner", 'pay "team" <pay@x>')

    assert 0 == ran.returncode
    assert (folder / "pins.toml").read_text().startswith(before)
    assert 'pay "team" <pay@x>' == _sets(folder)["localhost"]["owner"]


def test_pinned_host_is_left_alone(run: Run, folder: Path, place: str, server: LabServer) -> None:
    """A host with an exact pattern already is an error that says what to do; nothing changes."""
    run("pin", place, "--anchors", "ca.pem")
    before = (folder / "pins.toml").read_bytes()
    connections = len(server.connections)

    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key")

    assert "localhost is pinned already, by pin_set.localhost of pins.toml" in ran.stderr
    assert "holdfast check localhost" in ran.stderr
    assert (2, before) == (ran.returncode, (folder / "pins.toml").read_bytes())
    assert (connections, {"ca.pem", "pins.toml"}) == (len(server.connections), _files(folder))


def test_broken_policy_is_left_alone(run: Run, folder: Path, place: str) -> None:
    """A file that cannot be loaded is not added to."""
    (folder / "pins.toml").write_text("[holdfast]\nformat = 2\n")

    ran = run("pin", place, "--anchors", "ca.pem")

    assert ran.stderr.startswith("holdfast: error: pins.toml: holdfast.")
    assert (2, "[holdfast]\nformat = 2\n") == (
        ran.returncode,
        (folder / "pins.toml").read_text(),
    )


def test_each_host_has_its_set_or_all_have_one(
    run: Run, folder: Path, authority: Authority
) -> None:
    """Several hosts get a set each; with `--name` they share one that has all their keys."""
    one, two = authority.issue("localhost"), authority.issue("127.0.0.1")
    with LabServer(one) as first, LabServer(two, name="127.0.0.1") as second:
        places = (f"localhost:{first.port}", f"127.0.0.1:{second.port}")
        run("pin", *places, "--anchors", "ca.pem")
        run("pin", *places, "--anchors", "ca.pem", "--name", "lab", "--policy", "lab.toml")

    assert {"localhost", "127-0-0-1"} == _sets(folder).keys()
    (pin_set,) = load_policy(folder / "lab.toml").pin_sets
    assert ("lab", [one.spki_pin, two.spki_pin]) == (
        pin_set.name,
        [str(pin) for pin in pin_set.leaf],
    )


def test_ca_is_pinned_on_request(run: Run, folder: Path, place: str, authority: Authority) -> None:
    """`--ca` pins the issuer's key; with another CA's certificate as backup it is enforced."""
    other = Authority.new("another CA")
    (folder / "other.pem").write_text(other.pem)
    (folder / "other.key").write_text(Identity(new_key(), (other.certificate,)).key_pem)

    alone = run("pin", place, "--anchors", "ca.pem", "--ca", "--policy", "alone.toml")
    ran = run("pin", place, "--anchors", "ca.pem", "--ca", "--backup", "other.pem")
    wrong = run(
        "pin", place, "--anchors", "ca.pem", "--ca", "--backup", "other.key", "--policy", "x.toml"
    )

    assert "add the pin of a second CA" in alone.stdout
    assert 0 == ran.returncode
    assert [authority.spki_pin, other.spki_pin] == _sets(folder)["localhost"]["ca"]
    assert "enforce" == _sets(folder)["localhost"]["mode"]
    assert "other.key is a private key, not a CA's certificate" in wrong.stderr


def test_ca_needs_a_ca(run: Run, folder: Path) -> None:
    """A certificate that is its own anchor has no CA to pin."""
    identity = self_signed("localhost")
    (folder / "leaf.pem").write_text(identity.chain_pem)
    with LabServer(identity) as server:
        ran = run("pin", f"localhost:{server.port}", "--ca", "--anchors", "leaf.pem")

    assert "the path has no CA, only the server's own certificate" in ran.stderr
    assert (2, {"leaf.pem"}) == (ran.returncode, _files(folder))


def test_every_address_is_looked_at(
    run: Run, folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host whose addresses show two keys gets both pins, and a warning."""
    one, two = authority.issue("pair.example"), authority.issue("pair.example")
    listen = socket.create_server

    def both(*_arguments: object, **_options: object) -> list[object]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "127.0.0.2")]

    with LabServer(one) as first:

        def listen_at_its_port(place: tuple[str, int], **options: Any) -> socket.socket:  # noqa: ANN401
            return listen((place[0], first.port), **options)

        # The lab chooses free ports; here both addresses have to have the same one.
        monkeypatch.setattr(socket, "create_server", listen_at_its_port)
        monkeypatch.setattr(socket, "getaddrinfo", both)
        with LabServer(two, address="127.0.0.2"):
            ran = run("pin", f"pair.example:{first.port}", "--anchors", "ca.pem")

    assert (0, True) == (ran.returncode, "HF301" in ran.stdout)
    assert [one.spki_pin, two.spki_pin] == _sets(folder)["pair-example"]["leaf"]


def test_address_that_does_not_answer_is_told(
    run: Run, server: LabServer, identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host is pinned by the addresses that answer, with a warning about the others."""

    def both(*_arguments: object, **_options: object) -> list[object]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(socket, "getaddrinfo", both)

    ran = run("pin", f"localhost:{server.port}", "--anchors", "ca.pem")

    assert 0 == ran.returncode
    assert "HF306" in ran.stdout
    assert "not all of its addresses were seen: not 127.0.0.2" in ran.stdout
    assert [identity.spki_pin] == _sets(folder)["localhost"]["leaf"]


def test_policy_never_replaces_the_new_key(run: Run, place: str, folder: Path) -> None:
    """One file for both would lose the key: that is refused, whatever way it is written."""
    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "./pins.toml")

    assert "--new-backup would be overwritten by --policy" in ran.stderr
    assert (2, ["ca.pem"]) == (ran.returncode, [path.name for path in folder.iterdir()])


def test_key_goes_when_the_policy_cannot_be_replaced(
    run: Run, place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new key that no policy names is removed, and the message says so."""
    write = NewKey.write

    def write_and_stand_in_the_way(key: NewKey, path: Path) -> None:
        write(key, path)
        (folder / "pins.toml").mkdir()

    monkeypatch.setattr(NewKey, "write", write_and_stand_in_the_way)

    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key")

    assert (
        "holdfast: error: pins.toml cannot be replaced: Is a directory; "
        "the new key next.key was removed again\n"
    ) in ran.stderr
    assert (2, {"ca.pem", "pins.toml"}) == (ran.returncode, _files(folder))


def test_text_that_is_not_utf8_is_bad_input(run: Run, place: str, folder: Path) -> None:
    """An argument that cannot be written into the policy is refused, and nothing is made."""
    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key", "--owner", "\udcff")

    assert "the new set has text that is not UTF-8" in ran.stderr
    assert (2, ["ca.pem"]) == (ran.returncode, [path.name for path in folder.iterdir()])


def test_chain_from_a_file(run: Run, folder: Path, identity: Identity) -> None:
    """`--cert` pins without a connection; no endpoint is noted for port 443."""
    (folder / "chain.pem").write_text(identity.chain_pem)

    ran = run("pin", "localhost", "--cert", "chain.pem", "--anchors", "ca.pem")

    assert 0 == ran.returncode
    assert [identity.spki_pin] == _sets(folder)["localhost"]["leaf"]
    assert "endpoints" not in _sets(folder)["localhost"]


def test_starttls(run: Run, folder: Path, identity: Identity) -> None:
    """`--starttls` is the scheme of hosts without one, and is noted for `check`."""
    with LabServer(identity, starttls="smtp") as server:
        place = f"localhost:{server.port}"
        ran = run("pin", place, "--starttls", "smtp", "--anchors", "ca.pem")
        checked = run("check", "--anchors", "ca.pem")

    assert (0, 0) == (ran.returncode, checked.returncode)
    assert [f"smtp://{place}"] == _sets(folder)["localhost"]["endpoints"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("a", "b", "--cert", "c.pem"), "--cert is the chain of one HOST"),
        (("a", "--cert", "c.pem", "--address", "::1"), "--cert reads a file"),
        (("a", "b", "--address", "::1"), "--address is of one HOST"),
        (("a", "--address", "localhost"), "--address localhost is not an IP address"),
        (("a", "--ca", "--new-backup", "k"), "with --ca a backup is another CA's certificate"),
        (("a", "--name", ""), "invalid value for '--name': it is empty"),
        (("a", "--owner", " "), "invalid value for '--owner': it is empty"),
        (("a", "--policy", "pins.json"), "pins.json: pins are added to TOML files only"),
    ],
)
def test_contradictions_are_refused(
    run: Run, folder: Path, arguments: tuple[str, ...], error: str
) -> None:
    """Options that do not go together are told before anything is done."""
    ran = run("pin", *arguments)

    assert ran.stderr.startswith(f"holdfast: error: {error}")
    assert (2, set()) == (ran.returncode, _files(folder))
