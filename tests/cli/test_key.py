import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.lab.authorities import Authority, Identity

Run = Callable[..., subprocess.CompletedProcess[str]]

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def test_new_key_can_be_pinned_again(run: Run, folder: Path) -> None:
    """`key new` prints the pin that `key pin` finds in its file."""
    made = run("key", "new", "next.key")
    pinned = run("key", "pin", "next.key")

    text, pin = made.stdout.splitlines()
    assert "Wrote next.key (EC P-256, readable by its owner only)." == text
    assert f"{pin}  private key  next.key\n" == pinned.stdout
    assert 0o600 == stat.S_IMODE((folder / "next.key").stat().st_mode)


def test_new_key_as_json(run: Run) -> None:
    """The same facts as JSON."""
    made = json.loads(run("key", "new", "next.key", "--type", "ed25519", "--json").stdout)

    pinned = json.loads(run("key", "pin", "next.key", "--json").stdout)
    assert {
        "file": "next.key",
        "type": "ed25519",
        "encrypted": False,
        "pin": pinned[0]["pin"],
    } == made


def test_new_key_never_overwrites(run: Run, folder: Path) -> None:
    """A file that exists is left alone, with code 2 and a hint."""
    (folder / "next.key").write_text("precious")

    ran = run("key", "new", "next.key")

    assert (
        "holdfast: error: next.key exists, and a key is never overwritten\n"
        "holdfast: hint: choose another name, or take the pin of the key that is there: "
        "holdfast key pin next.key\n"
    ) == ran.stderr
    assert (2, "precious") == (ran.returncode, (folder / "next.key").read_text())


def test_encrypted_key_needs_its_passphrase(run: Run, folder: Path) -> None:
    """A key made with a passphrase can be pinned with it, and not without."""
    (folder / "secret").write_text("correct horse\r\n")
    (folder / "empty").write_text("\n")
    made = run("key", "new", "next.key", "--passphrase-file", "secret")

    assert "EC P-256, encrypted" in made.stdout
    with_it = run("key", "pin", "next.key", "--passphrase-file", "secret")
    assert made.stdout.splitlines()[1] == with_it.stdout.split()[0]
    assert 2 == run("key", "pin", "next.key").returncode
    assert (
        "the first line is empty"
        in run("key", "pin", "next.key", "--passphrase-file", "empty").stderr
    )


def test_passphrase_comes_from_one_place(run: Run, folder: Path) -> None:
    """A file and a question at once are a contradiction, and no key is made."""
    (folder / "secret").write_text("correct horse")

    ran = run("key", "new", "next.key", "--passphrase", "--passphrase-file", "secret")

    assert "give either --passphrase or --passphrase-file" in ran.stderr
    assert (2, False) == (ran.returncode, (folder / "next.key").exists())


def test_nobody_to_ask_is_bad_input(folder: Path) -> None:
    """Without a terminal, and with nothing on stdin, the question is an error with a way out."""
    ran = subprocess.run(
        [sys.executable, "-m", "holdfast", "key", "new", "next.key", "--passphrase"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # else getpass would ask on the terminal of the tests
    )

    assert "there is nobody to ask for a passphrase: give --passphrase-file" in ran.stderr
    assert (2, False) == (ran.returncode, (folder / "next.key").exists())


@openssl
def test_every_form_of_a_key_has_one_pin(run: Run, folder: Path, identity: Identity) -> None:
    """Private key, public key, request and certificate of one key give the same pin."""
    (folder / "a.key").write_text(identity.key_pem)
    (folder / "a.pem").write_bytes(identity.chain_pem.encode())
    _openssl("pkey", "-in", "a.key", "-pubout", "-out", "a.pub")
    _openssl("req", "-new", "-key", "a.key", "-subj", "/CN=x", "-out", "a.csr")
    _openssl("pkey", "-in", "a.key", "-outform", "DER", "-out", "a.der")

    rows = json.loads(
        run("key", "pin", "a.key", "a.pub", "a.csr", "a.der", "a.pem", "--json").stdout
    )

    assert [identity.spki_pin] * 5 == [row["pin"] for row in rows[:5]]
    assert [
        "private key",
        "public key",
        "certificate request",
        "private key",
        "certificate",
        "certificate",
    ] == [row["kind"] for row in rows]


def test_chain_is_listed_in_its_order(
    run: Run, folder: Path, authority: Authority, identity: Identity
) -> None:
    """Of a chain file every certificate has its line, keys or whole certificates."""
    (folder / "chain.pem").write_text(identity.chain_pem)

    keys = run("key", "pin", "chain.pem").stdout.splitlines()
    certificates = run("key", "pin", "chain.pem", "--cert-pin").stdout.splitlines()

    assert [
        f"{identity.spki_pin}  certificate  chain.pem",
        f"{authority.spki_pin}  certificate  chain.pem",
    ] == keys
    assert [identity.cert_pin, authority.cert_pin] == [line.split()[0] for line in certificates]


def test_whole_certificate_needs_a_certificate(run: Run, folder: Path, identity: Identity) -> None:
    """`--cert-pin` of a key is refused: there is no certificate to hash."""
    (folder / "a.key").write_text(identity.key_pem)

    ran = run("key", "pin", "a.key", "--cert-pin")

    assert "a PRIVATE KEY block among the certificates" in ran.stderr
    assert 2 == ran.returncode


def test_hex_is_converted_where_its_kind_is_said(run: Run) -> None:
    """A hex digest becomes a key pin or a certificate pin, as the option says."""
    digest = "AB:" * 31 + "AB"

    ran = run("key", "pin", "--hex-spki", digest, "--hex-cert", "ab" * 32)

    assert [
        "sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=  public key  --hex-spki",
        "cert-sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=  certificate  --hex-cert",
    ] == ran.stdout.splitlines()


@pytest.mark.parametrize("arguments", [(), ("missing.key",), ("--hex-spki", "abcd")])
def test_nothing_to_pin_is_bad_input(run: Run, arguments: tuple[str, ...]) -> None:
    """No file, a missing one, or a digest that was cut off: code 2."""
    ran = run("key", "pin", *arguments)

    assert ran.stderr.startswith("holdfast: error: ")
    assert (2, "") == (ran.returncode, ran.stdout)
