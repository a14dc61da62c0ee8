from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.certificates.load_chain import MAX_FILE_SIZE, load_chain, pem_certificates
from holdfast.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def three(make_certificate: Callable[..., bytes]) -> tuple[bytes, ...]:
    """Return three certificates."""
    return tuple(make_certificate("EC P-256", number) for number in (1, 2, 3))


def test_a_pem_file_gives_its_certificates_in_order(
    tmp_path: Path, three: tuple[bytes, ...], to_pem: Callable[..., str]
) -> None:
    """Order and bytes are kept, text around the blocks is not, and both labels are known."""
    path = tmp_path / "fullchain.pem"
    labels = ("CERTIFICATE", "X509 CERTIFICATE", "CERTIFICATE")
    blocks = [to_pem(der, label) for der, label in zip(three, labels, strict=True)]
    path.write_text("subject=CN = leaf\n" + "issuer\n".join(blocks))
    assert three == load_chain(path) == load_chain(str(path))


def test_a_der_file_gives_one_certificate(tmp_path: Path, three: tuple[bytes, ...]) -> None:
    """The bytes of the file are the certificate."""
    path = tmp_path / "leaf.der"
    path.write_bytes(three[0])
    assert (three[0],) == load_chain(path)


def test_pem_text_may_hold_no_certificate(
    three: tuple[bytes, ...], to_pem: Callable[..., str]
) -> None:
    """Text and bytes give the same, and none is an answer here."""
    text = "".join(map(to_pem, three))
    assert three == pem_certificates(text, "x") == pem_certificates(text.encode(), "x")
    assert () == pem_certificates("no certificate", "x")


@pytest.mark.parametrize(
    ("label", "fix"),
    [
        ("TRUSTED CERTIFICATE", "openssl x509"),
        ("PRIVATE KEY", "private key in a file of its own"),
        ("ENCRYPTED PRIVATE KEY", "private key in a file of its own"),
        ("PKCS7", "openssl pkcs7"),
        ("CERTIFICATE REQUEST", "certificates only"),
        ("X509 CRL", "certificates only"),
    ],
)
def test_other_blocks_are_refused_with_the_fix(
    label: str, fix: str, three: tuple[bytes, ...], to_pem: Callable[..., str]
) -> None:
    """A block that is not a certificate is named with its line, and the hint says what to do."""
    text = to_pem(three[0]) + to_pem(three[1], label)
    line = to_pem(three[0]).count("\n") + 1
    with pytest.raises(CertificateError, match=rf"^c\.pem, line {line}: a {label} block") as caught:
        pem_certificates(text, "c.pem")
    assert fix in str(caught.value.hint)


def test_a_block_that_is_no_certificate_is_refused(
    three: tuple[bytes, ...], to_pem: Callable[..., str]
) -> None:
    """The label alone does not make a certificate, and data after it are noticed."""
    for der in (b"hello", three[0] + b"\0", three[0][:-1]):
        with pytest.raises(CertificateError, match=r"^c\.pem, line 1: not a certificate: "):
            pem_certificates(to_pem(der), "c.pem")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"hello\n", "no certificate in it"),
        (b"0123456789" * 20, "no certificate in it"),
        (b"\x30\x82\x00\x05hello", "not a certificate"),
        (b"x" * (MAX_FILE_SIZE + 1), "larger than 1048576 bytes"),
    ],
)
def test_a_file_without_certificates_is_refused(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    """The message has the path and what is wrong, and there is a hint."""
    path = tmp_path / "chain.pem"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=complaint) as caught:
        load_chain(path)
    assert str(path) in caught.value.message
    assert caught.value.hint is not None


def test_a_file_of_the_greatest_size_is_read(
    tmp_path: Path, three: tuple[bytes, ...], to_pem: Callable[..., str]
) -> None:
    """The limit itself is allowed."""
    text = to_pem(three[0])
    path = tmp_path / "large.pem"
    path.write_text(text + "\n" * (MAX_FILE_SIZE - len(text)))
    assert (three[0],) == load_chain(path)


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory and an impossible name give the path and the system's reason."""
    for path, reason in (
        (tmp_path / "missing.pem", "No such file"),
        (tmp_path, "Is a directory"),
        (f"{tmp_path}/\0", "null byte"),
    ):
        with pytest.raises(CertificateError, match=reason) as caught:
            load_chain(path)
        assert repr(os.fspath(path)) in caught.value.message
