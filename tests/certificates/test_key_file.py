from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from holdfast.certificates.key_file import spki_from_key_file
from holdfast.certificates.spki import spki_of
from holdfast.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    Keys = dict[str, CertificateIssuerPrivateKeyTypes]

KINDS = ["EC P-256", "EC P-384", "EC P-521", "RSA 2048", "Ed25519", "Ed448"]


def spki(keys: Keys, kind: str) -> bytes:
    """Return the public key as `cryptography` writes it."""
    public = keys[kind].public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_one_key_gives_the_same_bytes(
    kind: str,
    keys: Keys,
    make_certificate: Callable[..., bytes],
    make_request: Callable[..., bytes],
    to_pem: Callable[..., str],
) -> None:
    """Certificate, request, public and private key, PEM and DER, agree on the key."""
    private = keys[kind].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    expected = spki(keys, kind)
    for what, label, der in (
        ("certificate", "CERTIFICATE", make_certificate(kind)),
        ("certificate request", "CERTIFICATE REQUEST", make_request(kind)),
        ("certificate request", "NEW CERTIFICATE REQUEST", make_request(kind)),
        ("public key", "PUBLIC KEY", expected),
        ("private key", "PRIVATE KEY", private),
    ):
        assert (what, expected) == spki_from_key_file(der, "f")
        assert (what, expected) == spki_from_key_file(to_pem(der, label).encode(), "f")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("kind", ["EC P-256", "RSA 2048"])
def test_older_forms_of_private_keys_are_read(kind: str, encoding: Encoding, keys: Keys) -> None:
    """PKCS #1 and SEC 1 keys give the same bytes as PKCS #8."""
    data = keys[kind].private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert ("private key", spki(keys, kind)) == spki_from_key_file(data, "f")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", ["EC P-256", "RSA 2048"])
def test_encrypted_private_keys_need_their_passphrase(
    kind: str, form: PrivateFormat, keys: Keys
) -> None:
    """The right passphrase opens the key; none and a wrong one are told apart."""
    data = keys[kind].private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"open sesame"))
    read = spki_from_key_file(data, "k.pem", passphrase=b"open sesame")
    assert ("private key", spki(keys, kind)) == read
    with pytest.raises(CertificateError, match=r"k\.pem, line 1: the private key is encrypted"):
        spki_from_key_file(data, "k.pem")
    with pytest.raises(CertificateError, match="cannot be decrypted") as caught:
        spki_from_key_file(data, "k.pem", passphrase=b"wrong")
    assert "sesame" not in str(caught.value)


def test_an_encrypted_der_key_is_read(keys: Keys) -> None:
    """PKCS #8 in DER may be encrypted too."""
    secret = BestAvailableEncryption(b"open sesame")
    data = keys["EC P-256"].private_bytes(Encoding.DER, PrivateFormat.PKCS8, secret)
    read = spki_from_key_file(data, "k.der", passphrase=b"open sesame")
    assert ("private key", spki(keys, "EC P-256")) == read
    with pytest.raises(CertificateError, match=r"k\.der: the private key is encrypted"):
        spki_from_key_file(data, "k.der")


def test_a_passphrase_for_a_plain_key_is_an_error(keys: Keys) -> None:
    """Who gives a passphrase believes the key to be protected, and learns that it is not."""
    data = keys["EC P-256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CertificateError, match="the private key is not encrypted"):
        spki_from_key_file(data, "k.pem", passphrase=b"x")


def test_the_bytes_of_a_file_are_not_encoded_again(vectors: Path) -> None:
    """An RSA-PSS public key keeps its algorithm, which `cryptography` would replace."""
    der = (vectors / "asymmetric" / "PKCS8" / "rsa_pss_2048_pub.der").read_bytes()
    assert ("public key", der) == spki_from_key_file(der, "pss.der")


@pytest.mark.parametrize("name", ["rsa_pss_2048.pem", "rsa_pss_2048_hash_mask_salt.pem"])
def test_an_rsa_pss_private_key_is_refused(name: str, vectors: Path) -> None:
    """`cryptography` would give the bytes of another algorithm, and so a pin that never matches."""
    data = (vectors / "asymmetric" / "PKCS8" / name).read_bytes()
    with pytest.raises(CertificateError, match="RSA-PSS") as caught:
        spki_from_key_file(data, name)
    assert "certificate request" in str(caught.value.hint)


def test_curve_parameters_before_the_key_are_passed_over(
    keys: Keys, to_pem: Callable[..., str]
) -> None:
    """`openssl ecparam -genkey` writes them there."""
    form = PrivateFormat.TraditionalOpenSSL
    key = keys["EC P-256"].private_bytes(Encoding.PEM, form, NoEncryption())
    curve = to_pem(bytes.fromhex("06082a8648ce3d030107"), "EC PARAMETERS").encode()
    assert ("private key", spki(keys, "EC P-256")) == spki_from_key_file(curve + key, "f")


def test_several_keys_in_a_file_are_refused(
    make_certificate: Callable[..., bytes], to_pem: Callable[..., str]
) -> None:
    """Nobody can say whose key is meant."""
    text = (to_pem(make_certificate(number=1)) + to_pem(make_certificate(number=2))).encode()
    with pytest.raises(CertificateError, match=r"chain\.pem: 2 PEM blocks"):
        spki_from_key_file(text, "chain.pem")


@pytest.mark.parametrize(
    ("label", "fix"),
    [
        ("OPENSSH PRIVATE KEY", "ssh-keygen"),
        ("RSA PUBLIC KEY", "openssl rsa"),
        ("TRUSTED CERTIFICATE", "openssl x509"),
        ("X509 CRL", "give a certificate"),
    ],
)
def test_other_blocks_are_refused_with_the_fix(
    label: str, fix: str, to_pem: Callable[..., str]
) -> None:
    """A block of another kind is named, and the hint says how to convert it."""
    with pytest.raises(CertificateError, match=rf"k\.pem, line 1: a {label} block") as caught:
        spki_from_key_file(to_pem(bytes(9), label).encode(), "k.pem")
    assert fix in str(caught.value.hint)


@pytest.mark.parametrize(
    "label", ["CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "PRIVATE KEY", "EC PRIVATE KEY"]
)
def test_a_block_that_is_not_what_its_label_says_is_refused(
    label: str, to_pem: Callable[..., str]
) -> None:
    """Wrong content is told with the file and the line."""
    with pytest.raises(CertificateError, match=r"^k\.pem, line 1: ") as caught:
        spki_from_key_file(to_pem(b"\x30\x03\x02\x01\x05", label).encode(), "k.pem")
    assert caught.value.hint is not None


def test_base64_errors_name_the_place_once() -> None:
    """A damaged block says where it stands, once."""
    text = b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n"
    with pytest.raises(CertificateError, match=r"^k\.pem, line 1: the PUBLIC KEY block is not"):
        spki_from_key_file(text, "k.pem")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x30\x00", b"\x30\x03\x02\x01\x00", bytes(300)])
def test_anything_else_is_refused(data: bytes) -> None:
    """The hint lists what is accepted."""
    with pytest.raises(CertificateError, match=r"^f: no certificate or key") as caught:
        spki_from_key_file(data, "f")
    assert "certificate request" in str(caught.value.hint)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is missing")
def test_a_request_and_a_key_from_openssl_agree(tmp_path: Path) -> None:
    """What `openssl req` and `openssl ecparam -genkey` write has one pin."""
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    generate = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", str(key)]
    subprocess.run(generate, check=True, capture_output=True, timeout=20)
    ask = ["openssl", "req", "-new", "-key", str(key), "-subj", "/CN=a", "-out", str(request)]
    subprocess.run(ask, check=True, capture_output=True, timeout=20)
    assert "EC PARAMETERS" in key.read_text()
    expected = spki_from_key_file(request.read_bytes(), "request.pem")[1]
    assert ("private key", expected) == spki_from_key_file(key.read_bytes(), "key.pem")


def test_a_certificate_gives_the_bytes_that_stand_in_it(
    known_certificates: tuple[bytes, ...],
) -> None:
    """For every known certificate that can be read, the bytes are those of `spki_of`."""
    read = 0
    for der in known_certificates:
        try:
            expected = spki_of(der)
        except CertificateError:
            continue
        assert ("certificate", expected) == spki_from_key_file(der, "f")
        read += 1
    assert 600 < read
