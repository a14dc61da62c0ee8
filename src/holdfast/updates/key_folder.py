"""The keys of people and machines as files: private ones encrypted with a passphrase, and cards.

    ROLE-N.pem                       a key that was made with a repository, Ed25519 as PKCS #8
    OWNER.pem, OWNER.card.json       a key of one person, and its card, which others are given
    OWNER.card.json                  alone: the key is in a device or service

A folder holds what one person or machine has. Spread them: keys of a threshold that lie side by
side are one key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.certificates.key_file import LONGEST_PASSPHRASE
from holdfast.certificates.load_policy import read_text
from holdfast.errors import UpdateError
from holdfast.updates.own_files import make_folder, read_file, replace_file

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from holdfast.updates.key_card import KeyCard
    from holdfast.updates.roles import RoleRule

__all__ = ["CARD_ENDING", "add_card", "add_key", "load_card", "load_signers", "make_keys"]

CARD_ENDING = ".card.json"
_LIMIT = 16 * 1024  # bytes of a key file
_PUBLIC = 0o644


def make_keys(
    folder: Path, rules: Mapping[str, RoleRule], passphrase: bytes | None
) -> dict[str, list[Signer]]:
    """Make the keys of roles, in a folder that does not exist yet.

    Args:
        folder: Where to write them; readable by its owner only.
        rules: How many each role has.
        passphrase: What they are encrypted with.

    Raises:
        UpdateError: The folder exists, or the passphrase cannot be used.
        OSError: They cannot be written.
    """
    usable = _usable(passphrase)
    if folder.exists():
        raise UpdateError(f"{folder} exists", hint="keys are never overwritten: name a new folder")
    make_folder(folder)
    return {
        role: [_make(folder, f"{role}-{number}", usable) for number in range(1, rule.keys + 1)]
        for role, rule in rules.items()
    }


def add_key(folder: Path, owner: str, passphrase: bytes | None) -> KeyCard:
    """Make the key of one person, and its card.

    Args:
        folder: Where to write them; made where there is none.
        owner: Their name.
        passphrase: What the key is encrypted with.

    Raises:
        UpdateError: There is such a key or card, or the name or the passphrase cannot be used.
        CacheError: Others may write in the folder.
        OSError: They cannot be written.
    """
    from holdfast.updates.key_card import KeyCard, check_owner

    usable = _usable(passphrase)
    check_owner(owner)
    _check_is_new(folder, owner)
    make_folder(folder)
    card = KeyCard(key=_make(folder, owner, usable).public_key)
    add_card(folder, card)
    return card


def add_card(folder: Path, card: KeyCard) -> None:
    """Write a card.

    Raises:
        UpdateError: There is a card, or a key, of this name.
        CacheError: Others may write in the folder.
        OSError: It cannot be written.
    """
    from holdfast.updates.key_card import card_to_bytes

    if card.uri is not None:
        _check_is_new(folder, card.owner)
    make_folder(folder)
    replace_file(folder / f"{card.owner}{CARD_ENDING}", card_to_bytes(card), _PUBLIC)


def load_card(file: Path) -> KeyCard:
    """Read a card.

    Raises:
        PolicyError: It cannot be read, or is none; every mistake is in its problems.
    """
    from holdfast.updates.key_card import card_from_bytes

    text = read_text(file, "ask its owner for it: `holdfast updates new-key` makes one")
    return card_from_bytes(text.encode(), source=str(file))


def load_signers(
    folders: Sequence[Path], passphrase: bytes | None, pin: bytes | None = None
) -> dict[str, Signer]:
    """Return the keys that are in some folders, or that cards in them lead to, by TUF key id.

    Args:
        folders: Where to look.
        passphrase: Of the key files.
        pin: Of tokens; without one the passphrase is tried.

    Raises:
        UpdateError: A folder is none, a file is no key, the passphrase is missing or another one,
            or a package for a device is missing.
        PolicyError: A card has a mistake.
        CacheError: Others could have written a file.
        OSError: A folder cannot be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    from holdfast.updates.key_card import card_from_bytes

    signers: dict[str, Signer] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UpdateError(f"{folder} is no folder with keys", hint="check --keys")
        for path in sorted(folder.glob("*.pem")):
            if passphrase is None:
                raise UpdateError(f"{path} has a passphrase", hint="name it: --passphrase-file")
            try:
                key = load_pem_private_key(read_file(path, _LIMIT), passphrase)
            except (ValueError, TypeError) as error:
                raise UpdateError(
                    f"{path} cannot be opened: {error}", hint="is it the right passphrase?"
                ) from error
            if not isinstance(key, Ed25519PrivateKey):
                raise UpdateError(f"{path} is no Ed25519 key", hint="move it away")
            signer: Signer = CryptoSigner(key)
            signers[signer.public_key.keyid] = signer
        for path in sorted(folder.glob(f"*{CARD_ENDING}")):
            card = card_from_bytes(read_file(path, _LIMIT), source=str(path))
            if card.uri is not None:
                from holdfast.updates.key_devices import device_signer

                signers[card.key.keyid] = device_signer(card, pin or passphrase)
    return signers


def _usable(passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise UpdateError("a key takes a passphrase", hint="name it: --passphrase-file")
    if not 0 < len(passphrase) <= LONGEST_PASSPHRASE:
        raise UpdateError(
            "the passphrase cannot be used", hint=f"take 1 to {LONGEST_PASSPHRASE} bytes"
        )
    return passphrase


def _check_is_new(folder: Path, owner: str) -> None:
    for ending in (".pem", CARD_ENDING):
        if (folder / f"{owner}{ending}").exists():
            raise UpdateError(
                f"{folder / owner}{ending} exists", hint="keys are never overwritten: take another"
            )


def _make(folder: Path, owner: str, passphrase: bytes) -> Signer:
    """Make a key, whose public half says whose it is."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )
    from securesystemslib.signer import CryptoSigner, SSlibKey

    from holdfast.updates.key_card import OWNER_FIELD

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    replace_file(folder / f"{owner}.pem", pem)
    public = SSlibKey.from_crypto(key.public_key())
    public.unrecognized_fields[OWNER_FIELD] = owner
    return CryptoSigner(key, public)
