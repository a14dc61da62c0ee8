from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.describe import CertificateDescription, describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = ["EC P-256", "EC P-384", "EC P-521", "RSA 2048", "Ed25519", "Ed448"]


def from_vectors(vectors: Path, name: str) -> bytes:
    """Return a certificate of `cryptography`'s own tests as DER."""
    data = (vectors / "x509" / name).read_bytes()
    if name.endswith(".pem"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
    return data


def test_the_fields_are_told(make_certificate: Callable[..., bytes]) -> None:
    """A plain certificate is described in full, with the names in their order and times in UTC."""
    expected = CertificateDescription(
        subject="L=yyyyyyyyyyyyyyy,O=xxx,CN=host-2",
        issuer="L=yyyyyyyyyyyyyyy,O=xxx,CN=host-2",
        not_before=datetime(2026, 11, 1, tzinfo=UTC),
        not_after=datetime(2026, 11, 3, tzinfo=UTC),
        key="EC P-256",
        names=(
            "host-2.example.com",
            "0.example.com",
            "1.example.com",
            "192.0.2.1",
            "spiffe://example.com/a",
        ),
        is_ca=True,
        organization="xxx",
    )
    assert expected == describe(make_certificate(number=2))


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_of_the_key_is_told(kind: str, make_certificate: Callable[..., bytes]) -> None:
    """Type and size in the words people use."""
    assert kind == describe(make_certificate(kind)).key


def test_no_extensions_mean_no_names_and_no_ca(make_certificate: Callable[..., bytes]) -> None:
    """What is not there is not unreadable."""
    described = describe(make_certificate(number=5))
    assert ((), False) == (described.names, described.is_ca)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("custom/dsa_selfsigned_ca.pem", "DSA 2048"),
        (
            "custom/unsupported_subject_public_key_info.pem",
            "unknown key (OID 1.3.6.1.4.1.8432.1.1.2)",
        ),
        ("e-trust.ru.der", "unknown key (OID 1.2.643.2.2.19)"),
    ],
)
def test_uncommon_keys_are_told(name: str, key: str, vectors: Path) -> None:
    """A key that cannot be loaded is named by its object identifier."""
    assert key == describe(from_vectors(vectors, name)).key


def test_what_is_no_certificate_is_unreadable() -> None:
    """The reason stands where the text would be, and the rest is empty."""
    described = describe(b"hello")
    assert described.subject.startswith("unreadable: ")
    assert described.subject == described.issuer == described.key
    assert (None, None, (), False) == (
        described.not_before,
        described.not_after,
        described.names,
        described.is_ca,
    )


def test_one_unreadable_field_leaves_the_others(vectors: Path) -> None:
    """A subject that is not UTF-8 does not hide the key and the dates."""
    described = describe(from_vectors(vectors, "custom/invalid_utf8_common_name.pem"))
    assert described.subject.startswith("unreadable: ")
    assert "RSA 2048" == described.key
    assert described.not_after is not None


def test_unreadable_extensions_say_so(vectors: Path) -> None:
    """Names that cannot be read are not "no names"."""
    described = describe(from_vectors(vectors, "custom/two_basic_constraints.pem"))
    assert 1 == len(described.names)
    assert described.names[0].startswith("unreadable: ")
    assert described.is_ca is False


def test_no_certificate_makes_it_raise_or_warn(known_certificates: tuple[bytes, ...]) -> None:
    """Every known certificate, good or bad, is described; warnings would be errors here."""
    described = [describe(der) for der in known_certificates]
    assert 600 < sum(not item.subject.startswith("unreadable") for item in described)


@pytest.mark.threat("T45")
@given(data=st.data())
def test_no_damage_makes_it_raise(
    data: st.DataObject, known_certificates: tuple[bytes, ...]
) -> None:
    """Octets replaced anywhere give a description too."""
    der = bytearray(data.draw(st.sampled_from(known_certificates)))
    for _ in range(data.draw(st.integers(1, 5))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(describe(bytes(der)).subject, str)


def test_a_panic_of_the_parser_is_caught_and_an_interrupt_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A panic is not an `Exception`, but it must not escape; a user's Ctrl-C must."""
    panic = type("PanicException", (BaseException,), {})

    def fail(error: type[BaseException]) -> Callable[[bytes], object]:
        def load(_: bytes) -> object:
            raise error

        return load

    monkeypatch.setattr(x509, "load_der_x509_certificate", fail(panic))
    assert "unreadable: PanicException" == describe(b"").subject
    monkeypatch.setattr(x509, "load_der_x509_certificate", fail(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        describe(b"")
