from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.updates.key_folder import load_signers, make_keys
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
