"""The keys of a repository's roles as files, encrypted with a passphrase.

A folder holds what one person or machine has: `ROLE-N.pem`, Ed25519 as PKCS #8. Spread them: keys
of a threshold that lie side by side are one key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.certificates.key_file import LONGEST_PASSPHRASE
from holdfast.errors import UpdateError
from holdfast.updates.own_files import make_folder, read_file, replace_file

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from holdfast.updates.roles import RoleRule

__all__ = ["load_signers", "make_keys"]

_LIMIT = 16 * 1024  # bytes of a key file


def make_keys(
    folder: Path, rules: Mapping[str, RoleRule], passphrase: bytes
) -> dict[str, list[Signer]]:
    """Make the keys of all roles, in a folder that does not exist yet.

    Args:
        folder: Where to write them; readable by its owner only.
        rules: How many each role has.
        passphrase: What they are encrypted with.

    Raises:
        UpdateError: The folder exists, or the passphrase cannot be used.
        OSError: They cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )
    from securesystemslib.signer import CryptoSigner

    if not 0 < len(passphrase) <= LONGEST_PASSPHRASE:
        raise UpdateError(
            "the passphrase cannot be used", hint=f"take 1 to {LONGEST_PASSPHRASE} bytes"
        )
    if folder.exists():
        raise UpdateError(f"{folder} exists", hint="keys are never overwritten: name a new folder")
    make_folder(folder)
    signers: dict[str, list[Signer]] = {}
    for role, rule in rules.items():
        for number in range(1, rule.keys + 1):
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
            )
            replace_file(folder / f"{role}-{number}.pem", pem)
            signers.setdefault(role, []).append(CryptoSigner(key))
    return signers


def load_signers(folders: Sequence[Path], passphrase: bytes) -> dict[str, Signer]:
    """Return the keys that are in some folders, by their TUF key id.

    Raises:
        UpdateError: A folder is none, a file is no key, or the passphrase is another one.
        CacheError: Others could have written a file.
        OSError: A folder cannot be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    signers: dict[str, Signer] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UpdateError(f"{folder} is no folder with keys", hint="check --keys")
        for path in sorted(folder.glob("*.pem")):
            try:
                key = load_pem_private_key(read_file(path, _LIMIT), passphrase)
            except (ValueError, TypeError) as error:
                raise UpdateError(
                    f"{path} cannot be opened: {error}", hint="is it the right passphrase?"
                ) from error
            if not isinstance(key, Ed25519PrivateKey):
                raise UpdateError(f"{path} is no Ed25519 key", hint="move it away")
            signer = CryptoSigner(key)
            signers[signer.public_key.keyid] = signer
    return signers
