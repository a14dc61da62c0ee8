"""A new private key in a file that nobody else can read and that replaces nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.certificates.key_file import LONGEST_PASSPHRASE
from holdfast.errors import CertificateError, HoldfastError
from holdfast.pins.pin import Pin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

DEFAULT_KIND = "ec-p256"
KINDS = {
    "ec-p256": "EC P-256",
    "ec-p384": "EC P-384",
    "rsa-3072": "RSA 3072",
    "ed25519": "Ed25519",
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that exists in memory only, and its pin."""

    pem: bytes
    pin: Pin

    @classmethod
    def make(cls, kind: str = DEFAULT_KIND, passphrase: bytes | None = None) -> NewKey:
        """Make a key of one of `KINDS`, as PKCS #8, encrypted when there is a passphrase.

        Raises:
            CertificateError: The passphrase is too long.
        """
        from cryptography.hazmat.primitives import serialization

        if passphrase is not None and len(passphrase) > LONGEST_PASSPHRASE:
            raise CertificateError(
                f"the passphrase has more than {LONGEST_PASSPHRASE} bytes",
                hint="take a shorter one",
            )
        key = _generate(kind)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(pem, Pin.of_spki(spki))

    def write(self, path: Path) -> None:
        """Write the key to a new file, mode 0600; a file that exists is left alone.

        When this returns, the file survives a loss of power, and so does its name.

        Raises:
            CertificateError: Something of that name exists already, or cannot be made.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise CertificateError(
                f"{path} exists, and a key is never overwritten",
                hint="choose another name, or take the pin of the key that is there: "
                f"holdfast key pin {path}",
            ) from None
        except OSError as error:
            raise CertificateError(
                f"{path} cannot be written: {error.strerror}", hint="check the folder"
            ) from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.pem)
                file.flush()
                os.fsync(descriptor)
            _sync_folder(path.parent)
        except BaseException:
            path.unlink()
            raise

    @contextmanager
    def written(self, path: Path) -> Iterator[None]:
        """Write the key, then let the policy that names its pin be put in place.

        Raises:
            CertificateError: The key cannot be written.
            HoldfastError: The policy could not be put in place. The key is gone again, since it
                protects nothing yet.
        """
        self.write(path)
        try:
            yield
        except HoldfastError as error:
            path.unlink()
            raise HoldfastError(
                f"{error.message}; the new key {path} was removed again", hint=error.hint
            ) from error


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _generate(kind: str) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if kind == "rsa-3072":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "ec-p384" else ec.SECP256R1())
