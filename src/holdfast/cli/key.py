"""`holdfast key`: make keys to hold in reserve, and take the pins of keys and certificates."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.certificates.key_file import spki_from_key_file
from holdfast.certificates.load_chain import load_chain, read_file
from holdfast.cli.options import format_option, path_option
from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.private_key import DEFAULT_KIND, KINDS, NewKey
from holdfast.errors import CertificateError
from holdfast.pins.pin import Pin, PinAlgorithm

passphrase_file_option = path_option(
    "--passphrase-file", help="Read the key's passphrase from the first line of this file."
)


@click.group("key")
def command() -> None:
    """Make keys, and take the pins of keys."""


@command.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(KINDS)),
    default=DEFAULT_KIND,
    show_default=True,
    help="The kind of key.",
)
@passphrase_file_option
@click.option("--passphrase", "ask", is_flag=True, help="Ask for a passphrase to encrypt with.")
@format_option()
def new(
    *, file: Path, kind: str, passphrase_file: Path | None, ask: bool, output_format: Format
) -> None:
    """Make a new private key and print its pin.

    FILE must not exist. Only its owner can read it (mode 0600). Keep it where the server's present
    key is not: a backup that is lost with the key it stands in for is none.
    """
    if ask and passphrase_file:
        raise click.UsageError(
            "give either --passphrase or --passphrase-file", click.get_current_context()
        )
    passphrase = _ask_passphrase() if ask else read_passphrase(passphrase_file)
    key = NewKey.make(kind, passphrase)
    key.write(file)
    if output_format is Format.JSON:
        print_json(
            {
                "file": str(file),
                "type": kind,
                "encrypted": passphrase is not None,
                "pin": str(key.pin),
            }
        )
        return
    encrypted = ", encrypted" if passphrase else ""
    print_lines(
        f"Wrote {file} ({KINDS[kind]}{encrypted}, readable by its owner only).", str(key.pin)
    )


@command.command("pin")
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--cert-pin", is_flag=True, help="Pin whole certificates instead of their keys.")
@click.option(
    "--hex-spki", metavar="HEX", multiple=True, help="Convert the SHA-256 of a public key (SPKI)."
)
@click.option(
    "--hex-cert", metavar="HEX", multiple=True, help="Convert the SHA-256 of a whole certificate."
)
@passphrase_file_option
@format_option()
def pin(
    *,
    files: tuple[Path, ...],
    cert_pin: bool,
    hex_spki: tuple[str, ...],
    hex_cert: tuple[str, ...],
    passphrase_file: Path | None,
    output_format: Format,
) -> None:
    """Print the pins of certificates, requests and keys.

    FILE is a certificate, a chain, a certificate request, a public key or a private key, as PEM or
    DER. Of a chain every certificate is listed, in the order of the file. Nothing leaves the
    machine.

    A digest in hexadecimal does not say what was hashed: --hex-spki or --hex-cert does.
    """
    if not files and not hex_spki and not hex_cert:
        raise click.UsageError("give a FILE, --hex-spki or --hex-cert", click.get_current_context())
    passphrase = read_passphrase(passphrase_file)
    rows = [row for file in files for row in _pins_of(file, passphrase, cert_pin=cert_pin)]
    rows += [
        (Pin.from_hex(text, PinAlgorithm.SPKI), "public key", "--hex-spki") for text in hex_spki
    ]
    rows += [
        (Pin.from_hex(text, PinAlgorithm.CERTIFICATE), "certificate", "--hex-cert")
        for text in hex_cert
    ]
    if output_format is Format.JSON:
        print_json([{"pin": str(pin), "kind": kind, "file": file} for pin, kind, file in rows])
        return
    print_lines(*(f"{pin}  {kind}  {file}" for pin, kind, file in rows))


def read_passphrase(path: Path | None) -> bytes | None:
    """Return the first line of a file, without its end.

    Raises:
        CertificateError: The file cannot be read, or the line is empty.
    """
    if path is None:
        return None
    passphrase = read_file(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not passphrase:
        raise CertificateError(
            f"{path}: the first line is empty", hint="write the passphrase on the first line"
        )
    return passphrase


def _ask_passphrase() -> bytes:
    try:
        text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        raise click.UsageError(
            "there is nobody to ask for a passphrase: give --passphrase-file",
            click.get_current_context(),
        ) from None
    return text.encode()


def _pins_of(file: Path, passphrase: bytes | None, *, cert_pin: bool) -> list[tuple[Pin, str, str]]:
    from holdfast.certificates.spki import spki_of

    try:
        chain = load_chain(file)
    except CertificateError:
        if cert_pin:
            raise
        kind, spki = spki_from_key_file(read_file(file), str(file), passphrase=passphrase)
        return [(Pin.of_spki(spki), kind, str(file))]
    if cert_pin:
        return [(Pin.of_certificate(der), "certificate", str(file)) for der in chain]
    return [(Pin.of_spki(spki_of(der)), "certificate", str(file)) for der in chain]
