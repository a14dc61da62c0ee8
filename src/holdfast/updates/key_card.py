"""Key cards: who has which key, as a small public file. Pure.

    {"format": 1, "owner": "alice", "uri": "hsm:2?label=alice",
     "key": {"keyid": "...", "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256",
             "keyval": {"public": "..."}}}

1. `uri` says where the private key is if it is in a device or a service, and is no secret.
2. The owner's name goes into signed metadata, in a field of the key that TUF does not use, so that
   whose signature is missing can be told from what is served.
3. A key id is what the key makes it: one key under two ids would count twice for a threshold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import Key, SSlibKey

from holdfast.errors import Problem, UpdateError
from holdfast.pins.field_readers import Reader, line, table_at, unknown_keys, wrong_type
from holdfast.pins.pin import quoted
from holdfast.updates.document_text import decoded, encoded, read_fields, refusal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = [
    "MAX_CARD_BYTES",
    "OWNER_FIELD",
    "KeyCard",
    "card_from_bytes",
    "card_to_bytes",
    "check_keys",
    "check_owner",
    "owned_by",
    "owner_of",
    "who",
]

OWNER_FIELD = "x-holdfast-owner"
MAX_CARD_BYTES = 16 * 1024
_SMALLEST_RSA = 2048  # bits (NIST SP 800-131A)
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # a file is called so
_OWNER_FIX = "take up to 64 letters, digits, dots and dashes, as alice"
_AGAIN = "make the card again with `holdfast updates new-key`"
_KEY_PARTS = ("keyid", "keytype", "scheme", "keyval")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCard:
    """Who has a key, and where it is.

    Attributes:
        key: The public half, with the owner in it.
        uri: Where the private half is; None where it is a file of the owner's.
    """

    key: Key
    uri: str | None = None

    @property
    def owner(self) -> str:
        """Whose key it is."""
        return owner_of(self.key)


def card_from_bytes(data: bytes, *, source: str) -> KeyCard:
    """Read a card.

    Args:
        data: The file.
        source: Its name, for errors.

    Raises:
        UnknownFormatError: It is in a format of a newer Holdfast.
        PolicyError: It is too large, or has a mistake; every mistake is in its problems.
    """
    document = decoded(data, MAX_CARD_BYTES, source)
    problems: list[Problem] = []
    readers: dict[str, Reader[Any]] = {"owner": _owner, "key": _key}
    if "uri" in document:
        readers["uri"] = line
    fields = read_fields(document, readers, problems)
    if problems:
        raise refusal(problems, source)
    return KeyCard(key=owned_by(fields["key"], fields["owner"]), uri=fields.get("uri"))


def card_to_bytes(card: KeyCard) -> bytes:
    """Write a card.

    Raises:
        PolicyError: It would be too large.
    """
    key = {"keyid": card.key.keyid, **card.key.to_dict()}
    document: dict[str, object] = {
        "owner": card.owner,
        "key": {part: key[part] for part in _KEY_PARTS},
    }
    if card.uri is not None:
        document["uri"] = card.uri
    return encoded(document, MAX_CARD_BYTES, "key card")


def owned_by(key: Key, owner: str) -> Key:
    """Return a key under its only key id, with its owner in it.

    Raises:
        ValueError: It is of a kind that is not used, or too weak.
    """
    public = _public(key)
    if isinstance(public, RSAPublicKey) and public.key_size < _SMALLEST_RSA:
        raise ValueError(f"an RSA key of {public.key_size} bits is too weak")
    made = SSlibKey.from_crypto(public, scheme=key.scheme)
    made.unrecognized_fields[OWNER_FIELD] = owner
    return made


def owner_of(key: Key) -> str:
    """Return whose key it is, as signed metadata say; without a name, how its id begins."""
    owner = key.unrecognized_fields.get(OWNER_FIELD)
    return owner if isinstance(owner, str) and _OWNER.fullmatch(owner) else f"key {key.keyid[:8]}"


def who(keys: Iterable[Key]) -> str:
    """Name the owners of keys."""
    return ", ".join(map(owner_of, keys)) or "nobody"


def check_owner(owner: str) -> None:
    """Refuse a name that cannot be a file's and a field's.

    Raises:
        UpdateError: It is none.
    """
    if not _OWNER.fullmatch(owner):
        raise UpdateError(f"{quoted(owner)} is no name of an owner", hint=_OWNER_FIX)


def check_keys(role: str, keys: Sequence[Key]) -> None:
    """Refuse keys of a role of which one person has two: the threshold would be an illusion.

    Raises:
        UpdateError: A public key, or an owner, stands there twice, or a key cannot be used.
    """
    owners: dict[str, str] = {}
    publics: dict[bytes, str] = {}
    for key in keys:
        owner = owner_of(key)
        try:
            public = _public(key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except ValueError as error:
            raise UpdateError(f"{role}: the key of {owner} cannot be used: {error}") from error
        if public in publics:
            raise UpdateError(
                f"{role}: {publics[public]} and {owner} have the same key",
                hint="each person makes a key of their own: one key is one signature",
            )
        if owner in owners:
            raise UpdateError(
                f"{role}: {owner} has two keys", hint="a threshold counts people, not keys"
            )
        publics[public] = owners[owner] = owner


def _public(key: Key) -> PublicKeyTypes:
    """Return what a TUF key stands for.

    Raises:
        ValueError: It is no public key.
    """
    text = key.keyval.get("public")
    if not isinstance(text, str):
        raise ValueError("it has no public half")  # noqa: TRY004  as of other bad keys
    if key.keytype == "ed25519":
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    return load_pem_public_key(text.encode())


def _owner(value: object, place: str, problems: list[Problem]) -> str | None:
    if not isinstance(value, str):
        problems.append(wrong_type(value, place, "text", _OWNER_FIX))
    elif not _OWNER.fullmatch(value):
        problems.append(Problem(place, f"{quoted(value)} is no name of an owner", _OWNER_FIX))
    else:
        return value
    return None


def _key(value: object, place: str, problems: list[Problem]) -> Key | None:
    table = table_at(value, place, problems)
    if table is None:
        return None
    if unknown_keys(table, _KEY_PARTS, place, problems):
        return None
    try:
        given = {name: part for name, part in table.items() if name != "keyid"}
        key = SSlibKey.from_dict(str(table["keyid"]), given)
        made = owned_by(key, "nobody")
    except Exception as error:  # noqa: BLE001  whatever else than a key makes libraries raise
        problems.append(Problem(place, f"this is no public key: {error}", _AGAIN))
        return None
    if (made.keyid, made.keytype, made.keyval) != (key.keyid, key.keytype, key.keyval):
        problems.append(Problem(f"{place}.keyid", "it is not the id of this key", _AGAIN))
        return None
    return made
