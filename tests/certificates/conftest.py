"""Certificates to read, and two other readers to compare with: OpenSSL's and that of Rust."""

from __future__ import annotations

import _ssl
import base64
import ctypes
import re
import warnings
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import certifi
import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

_DAY = timedelta(days=1)
_NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def keys() -> dict[str, CertificateIssuerPrivateKeyTypes]:
    """One key of each type, by the name that `describe` gives it."""
    return {
        "EC P-256": ec.generate_private_key(ec.SECP256R1()),
        "EC P-384": ec.generate_private_key(ec.SECP384R1()),
        "EC P-521": ec.generate_private_key(ec.SECP521R1()),
        "RSA 2048": rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }


def _digest(kind: str) -> hashes.SHA256 | None:
    return None if kind.startswith("Ed") else hashes.SHA256()


@pytest.fixture(scope="session")
def make_certificate(
    keys: dict[str, CertificateIssuerPrivateKeyTypes],
) -> Callable[..., bytes]:
    """Make a self-signed certificate; the number varies its fields and their lengths."""

    def make(kind: str = "EC P-256", number: int = 1, *, pss: bool = False) -> bytes:
        name = x509.Name(
            [
                x509.NameAttribute(x509.NameOID.COMMON_NAME, f"host-{number}"),
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "x" * (1 + number % 64)),
                x509.NameAttribute(x509.NameOID.LOCALITY_NAME, "y" * (1 + number * 7 % 128)),
            ]
        )
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(keys[kind].public_key()).serial_number(1 + number**5)
        builder = builder.not_valid_before(_NOW).not_valid_after(_NOW + number * _DAY)
        if number % 5:
            names: list[x509.GeneralName] = [x509.DNSName(f"host-{number}.example.com")]
            names += [x509.DNSName(f"{index}.example.com") for index in range(number % 40)]
            names += [x509.IPAddress(ip_address("192.0.2.1")), x509.RFC822Name("a@example.com")]
            names += [x509.UniformResourceIdentifier("spiffe://example.com/a")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            constraints = x509.BasicConstraints(ca=number % 2 == 0, path_length=None)
            builder = builder.add_extension(constraints, critical=True)
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None
        signed = builder.sign(keys[kind], _digest(kind), rsa_padding=scheme)
        return signed.public_bytes(Encoding.DER)

    return make


@pytest.fixture(scope="session")
def make_request(keys: dict[str, CertificateIssuerPrivateKeyTypes]) -> Callable[..., bytes]:
    """Make a certification request with one attribute."""

    def make(kind: str = "EC P-256") -> bytes:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "request")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        names = x509.SubjectAlternativeName([x509.DNSName("request.example.com")])
        builder = builder.add_extension(names, critical=False)
        return builder.sign(keys[kind], _digest(kind)).public_bytes(Encoding.DER)

    return make


@pytest.fixture(scope="session")
def to_pem() -> Callable[..., str]:
    """Turn DER, and a label, into PEM text, without the code under test."""

    def make(der: bytes, label: str = "CERTIFICATE") -> str:
        body = base64.encodebytes(der).decode("ascii")
        return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"

    return make


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The directory of the files that `cryptography` is tested with."""
    return Path(cryptography_vectors.__file__).parent


@pytest.fixture(scope="session")
def known_certificates(vectors: Path) -> tuple[bytes, ...]:
    """Every certificate in those files and in certifi's bundle, good and bad, once each."""
    found: dict[bytes, None] = {}
    block = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
    for path in (Path(certifi.where()), *sorted(vectors.rglob("*"))):
        if not path.is_file():
            continue
        data = path.read_bytes()
        found.update((base64.b64decode(body), None) for body in block.findall(data))
        if path.suffix in {".der", ".crt", ".cer"}:
            found[data] = None
    return tuple(found)


@asn1.sequence
class _Extension:
    oid: x509.ObjectIdentifier
    critical: bool | None
    value: bytes


@asn1.sequence
class _Signed:
    version: Annotated[int | None, asn1.Explicit(0)]
    serial: asn1.TLV
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[_Extension] | None, asn1.Explicit(3)]


@pytest.fixture(scope="session")
def rust_spki() -> Callable[[bytes], bytes | None]:
    """`cryptography`'s parser, then its declarative reader on the signed part; None: refused."""

    def read(der: bytes) -> bytes | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                signed = x509.load_der_x509_certificate(der).tbs_certificate_bytes
                key = asn1.decode_der(_Signed, signed).key
            except (ValueError, x509.InvalidVersion):
                return None
        content = bytes(key.data)
        size = len(content)
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = octets if size < 128 else bytes([0x80 + len(octets)]) + octets
        return bytes(key.tag_bytes) + length + content

    return read


@pytest.fixture(scope="session")
def openssl_spki() -> Callable[[bytes], bytes | None]:
    """The OpenSSL that the `ssl` module uses, called directly; None: refused."""
    location = getattr(_ssl, "__file__", None)
    if location is None:
        pytest.skip("this Python has OpenSSL built in, where ctypes cannot reach it")
    library = ctypes.CDLL(location)
    pointer = ctypes.c_void_p
    for name, result, *arguments in (
        ("d2i_X509", pointer, pointer, pointer, ctypes.c_long),
        ("X509_get_X509_PUBKEY", pointer, pointer),
        ("i2d_X509_PUBKEY", ctypes.c_int, pointer, pointer),
        ("X509_free", None, pointer),
        ("CRYPTO_free", None, pointer, ctypes.c_char_p, ctypes.c_int),
        ("ERR_clear_error", None),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments

    def read(der: bytes) -> bytes | None:
        buffer = ctypes.create_string_buffer(der, len(der))
        position = pointer(ctypes.addressof(buffer))
        certificate = library.d2i_X509(None, ctypes.byref(position), len(der))
        if not certificate:
            library.ERR_clear_error()
            return None
        out = pointer()
        key = library.X509_get_X509_PUBKEY(certificate)
        size = library.i2d_X509_PUBKEY(key, ctypes.byref(out))
        spki = ctypes.string_at(out, size)
        library.CRYPTO_free(out, None, 0)
        library.X509_free(certificate)
        return spki

    return read
