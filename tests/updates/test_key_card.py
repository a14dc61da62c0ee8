import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from holdfast.errors import PolicyError, UpdateError
from holdfast.updates.key_card import (
    MAX_CARD_BYTES,
    OWNER_FIELD,
    KeyCard,
    card_from_bytes,
    card_to_bytes,
    check_keys,
    check_owner,
    owned_by,
    owner_of,
    who,
)
from tests.updates.ceremony import signer_of

ALICE = signer_of("alice").public_key


def _ec(owner: str) -> Key:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return owned_by(SSlibKey.from_crypto(key), owner)


@pytest.mark.parametrize("uri", [None, "hsm:2?label=alice"])
@pytest.mark.parametrize("key", [ALICE, _ec("alice")])
def test_what_is_written_is_read_again(key: Key, uri: str | None) -> None:
    """With the owner in the key."""
    card = KeyCard(key=key, uri=uri)
    read = card_from_bytes(card_to_bytes(card), source="alice.card.json")

    assert card == read
    assert ("alice", "alice") == (read.owner, read.key.unrecognized_fields[OWNER_FIELD])


def _key(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["key"].update(fields)


def _top(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda table: table.update(fields)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_top(owner="../alice"), "owner: '../alice' is no name"),
        (_top(owner=""), "owner: '' is no name"),
        (_top(owner=7), "owner: this takes text"),
        (_top(uri=""), "uri: it is empty"),
        (_top(uri=None), "uri: this takes text"),
        (_top(key=[]), "key: this takes a table"),
        (_top(key={}), "key: this is no public key"),
        (_top(admin=True), "admin: the key is not known"),
        (_key(keyid="a" * 64), "key.keyid: it is not the id of this key"),
        (_key(keyids=["a"]), "key.keyids: the key is not known"),
        (_key(scheme="rsassa-pss-sha256"), "key.keyid: it is not the id"),
        (_key(keytype="rsa"), "this is no public key"),
        (_key(keyval={}), "this is no public key"),
        (_key(keyval={"public": "zz"}), "this is no public key"),
        (_key(keyval={"public": ALICE.keyval["public"].upper()}), "it is not the id"),
        (_key(keyval={"public": "00" * 32, "private": "11" * 32}), "it is not the id"),
    ],
)
def test_what_is_no_card_is_told(change: Callable[[dict[str, Any]], None], told: str) -> None:
    """Each mistake with its place; a key has one id only."""
    table = json.loads(card_to_bytes(KeyCard(key=ALICE)))
    change(table)

    with pytest.raises(PolicyError) as raised:
        card_from_bytes(json.dumps(table).encode(), source="alice.card.json")

    assert told in str(raised.value)


def test_a_huge_card_is_not_parsed() -> None:
    """Nobody has such a key."""
    with pytest.raises(PolicyError, match="more than"):
        card_from_bytes(b" " * (MAX_CARD_BYTES + 1), source="alice.card.json")


def test_a_weak_key_is_refused() -> None:
    """A key that can be broken is nobody's."""
    weak = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(ValueError, match="1024 bits is too weak"):
        owned_by(SSlibKey.from_crypto(weak), "alice")


def test_one_person_has_one_key_of_a_role() -> None:
    """The same key under another scheme is no second one, and neither is a second key."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    pss = owned_by(SSlibKey.from_crypto(public), "alice")
    pkcs = owned_by(SSlibKey.from_crypto(public, scheme="rsa-pkcs1v15-sha256"), "bob")
    assert pss.keyid != pkcs.keyid

    with pytest.raises(UpdateError, match="root: alice and bob have the same key"):
        check_keys("root", [pss, pkcs])
    with pytest.raises(UpdateError, match="root: alice has two keys"):
        check_keys("root", [pss, ALICE])
    check_keys("root", [ALICE, pkcs])


def test_a_key_that_is_none_is_told() -> None:
    """Signed metadata may hold anything."""
    none = SSlibKey("a" * 64, "rsa", "rsassa-pss-sha256", {"public": "none"})

    with pytest.raises(UpdateError, match="the key of key aaaaaaaa cannot be used"):
        check_keys("root", [none])
    none.keyval = {}
    with pytest.raises(UpdateError, match="it has no public half"):
        check_keys("root", [none])


def test_keys_without_a_proper_name_are_told_by_their_ids() -> None:
    """A name in signed metadata could hold what moves a terminal, or be missing."""
    plain = CryptoSigner.generate_ed25519().public_key
    hostile = CryptoSigner.generate_ed25519().public_key
    hostile.unrecognized_fields[OWNER_FIELD] = "alice\x1b[2K"

    assert f"key {plain.keyid[:8]}" == owner_of(plain)
    assert f"alice, key {hostile.keyid[:8]}" == who([ALICE, hostile])
    assert "nobody" == who([])


@pytest.mark.parametrize("owner", ["", "-a", "a/b", "a b", "a" * 65, "\u00e4"])
def test_names_are_names_of_files_too(owner: str) -> None:
    """Whatever else is refused."""
    with pytest.raises(UpdateError, match="is no name of an owner"):
        check_owner(owner)
    check_owner("alice.m-2")
