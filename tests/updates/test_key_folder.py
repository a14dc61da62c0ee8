from pathlib import Path

import pytest

from holdfast.errors import PolicyError, UpdateError
from holdfast.updates.key_card import KeyCard, owner_of
from holdfast.updates.key_folder import add_card, add_key, load_card, load_signers, make_keys
from holdfast.updates.roles import PROFILES

RULES = PROFILES["small"]


def test_keys_are_made_and_read_again(tmp_path: Path) -> None:
    """One file for each, for its owner only, and encrypted."""
    made = make_keys(tmp_path / "keys", RULES, b"secret")
    loaded = load_signers([tmp_path / "keys"], b"secret")

    assert {role: rule.keys for role, rule in RULES.items()} == {
        role: len(signers) for role, signers in made.items()
    }
    assert {one.public_key.keyid for several in made.values() for one in several} == set(loaded)
    for file in (tmp_path / "keys").iterdir():
        assert 0o600 == file.stat().st_mode & 0o777
        assert b"ENCRYPTED" in file.read_bytes()


def test_keys_of_several_places_are_read_together(tmp_path: Path) -> None:
    """A threshold is met by people who bring their keys."""
    make_keys(tmp_path / "keys", RULES, b"secret")
    (tmp_path / "usb").mkdir(mode=0o700)
    (tmp_path / "keys" / "root-1.pem").rename(tmp_path / "usb" / "root-1.pem")

    both = load_signers([tmp_path / "keys", tmp_path / "usb"], b"secret")

    assert 1 + len(load_signers([tmp_path / "keys"], b"secret")) == len(both)


@pytest.mark.parametrize("passphrase", [b"", b"x" * 1024])
def test_a_passphrase_that_protects_nothing(tmp_path: Path, passphrase: bytes) -> None:
    """It is refused before a key is made."""
    with pytest.raises(UpdateError, match="passphrase"):
        make_keys(tmp_path / "keys", RULES, passphrase)
    assert not (tmp_path / "keys").exists()


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """A folder that is there is left alone."""
    with pytest.raises(UpdateError, match="exists"):
        make_keys(tmp_path, RULES, b"secret")


def test_another_passphrase_and_another_kind_are_told(tmp_path: Path) -> None:
    """With the file that it is about."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    make_keys(tmp_path / "keys", RULES, b"secret")
    with pytest.raises(UpdateError, match=r"breakglass-1\.pem"):
        load_signers([tmp_path / "keys"], b"wrong")
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    other = tmp_path / "keys" / "a.pem"
    other.write_bytes(pem)
    other.chmod(0o600)
    with pytest.raises(UpdateError, match="no Ed25519"):
        load_signers([tmp_path / "keys"], b"secret")


def test_a_person_makes_a_key_and_a_card(tmp_path: Path) -> None:
    """The key is for its owner only, the card for everybody; both name the owner."""
    card = add_key(tmp_path / "usb", "alice", b"secret")

    assert card == load_card(tmp_path / "usb" / "alice.card.json")
    assert "alice" == card.owner
    assert {card.key.keyid} == set(load_signers([tmp_path / "usb"], b"secret"))
    assert 0o600 == (tmp_path / "usb" / "alice.pem").stat().st_mode & 0o777
    assert 0o644 == (tmp_path / "usb" / "alice.card.json").stat().st_mode & 0o777


def test_keys_that_are_made_carry_their_names(tmp_path: Path) -> None:
    """So that it can be told which are missing."""
    made = make_keys(tmp_path / "keys", RULES, b"secret")

    assert ["root-1", "root-2"] == [owner_of(one.public_key) for one in made["root"]]


def test_neither_keys_nor_cards_of_devices_are_overwritten(tmp_path: Path) -> None:
    """A second person of the same name takes another."""
    card = add_key(tmp_path, "alice", b"secret")

    with pytest.raises(UpdateError, match=r"alice\.pem exists"):
        add_key(tmp_path, "alice", b"secret")
    with pytest.raises(UpdateError, match=r"alice\.pem exists"):
        add_card(tmp_path, KeyCard(key=card.key, uri="hsm:2"))
    (tmp_path / "alice.pem").unlink()
    with pytest.raises(UpdateError, match=r"alice\.card\.json exists"):
        add_key(tmp_path, "alice", b"secret")
    with pytest.raises(UpdateError, match="no name of an owner"):
        add_key(tmp_path, "../alice", b"secret")


def test_a_missing_passphrase_is_told(tmp_path: Path) -> None:
    """A folder with cards alone needs none."""
    with pytest.raises(UpdateError, match="a key takes a passphrase"):
        add_key(tmp_path / "usb", "alice", None)
    add_key(tmp_path / "usb", "alice", b"secret")
    with pytest.raises(UpdateError, match=r"alice\.pem has a passphrase"):
        load_signers([tmp_path / "usb"], None)
    (tmp_path / "usb" / "alice.pem").unlink()

    assert {} == load_signers([tmp_path / "usb"], None)


def test_a_card_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its file."""
    (tmp_path / "mallory.card.json").write_text("{}")

    with pytest.raises(PolicyError, match=r"mallory\.card\.json"):
        load_signers([tmp_path], None)
    with pytest.raises(PolicyError, match=r"nobody\.card\.json"):
        load_card(tmp_path / "nobody.card.json")
