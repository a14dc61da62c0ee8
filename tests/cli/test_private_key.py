import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from holdfast.cli.private_key import KINDS, NewKey
from holdfast.errors import CertificateError, HoldfastError
from holdfast.lab.authorities import spki_pin


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_pin_is_that_of_the_key(tmp_path: Path, kind: str, passphrase: bytes | None) -> None:
    """The file holds the key, encrypted when asked, and the pin belongs to it."""
    key = NewKey.make(kind, passphrase)
    path = tmp_path / "next.key"

    key.write(path)

    written = load_pem_private_key(path.read_bytes(), passphrase)
    assert spki_pin(written) == str(key.pin)  # type: ignore[arg-type]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """The file has mode 0600 from the moment it exists."""
    path = tmp_path / "next.key"

    NewKey.make().write(path)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file or a dangling link of that name is left alone."""
    path, link = tmp_path / "next.key", tmp_path / "link.key"
    path.write_text("precious")
    link.symlink_to(tmp_path / "nowhere")

    for taken in (path, link):
        with pytest.raises(CertificateError, match="exists, and a key is never overwritten"):
            NewKey.make().write(taken)

    assert "precious" == path.read_text()
    assert not (tmp_path / "nowhere").exists()


def test_file_and_folder_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is synced first and its name after it; without either there is no key."""
    synced: list[bool] = []
    sync = os.fsync

    def is_folder(descriptor: int) -> bool:
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)

    def note(descriptor: int) -> None:
        synced.append(is_folder(descriptor))
        sync(descriptor)

    def fail_for_folders(descriptor: int) -> None:
        if is_folder(descriptor):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", note)
    NewKey.make().write(tmp_path / "next.key")
    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(OSError, match="Input/output error"):
        NewKey.make().write(tmp_path / "other.key")

    assert [False, True] == synced
    assert [tmp_path / "next.key"] == list(tmp_path.iterdir())


def test_key_of_a_policy_that_failed_is_removed(tmp_path: Path) -> None:
    """A key stays with the policy that names it, and goes when there is none, which is told."""
    kept, removed = tmp_path / "kept.key", tmp_path / "removed.key"

    def put_in_place(error: HoldfastError | None, key: Path) -> None:
        with NewKey.make().written(key):
            assert key.exists()
            if error:
                raise error

    put_in_place(None, kept)
    with pytest.raises(HoldfastError, match=r"^no; the new key .*removed\.key was removed again$"):
        put_in_place(HoldfastError("no"), removed)

    assert [kept] == list(tmp_path.iterdir())


def test_folder_has_to_exist(tmp_path: Path) -> None:
    """A place that cannot be written to is named."""
    with pytest.raises(CertificateError, match="cannot be written: No such file or directory"):
        NewKey.make().write(tmp_path / "missing" / "next.key")


def test_passphrase_has_a_longest_length() -> None:
    """A passphrase that OpenSSL does not take is bad input."""
    assert NewKey.make(passphrase=b"x" * 1023).pem

    with pytest.raises(CertificateError, match="the passphrase has more than 1023 bytes"):
        NewKey.make(passphrase=b"x" * 1024)
