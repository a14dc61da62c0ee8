from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from holdfast.certificates.client_names import client_leaf
from holdfast.errors import CertificateError
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import der, distinguished_name

CA = Authority.new("Mesh root")
PAYMENTS = "spiffe://example.org/payments"


def leaf(
    *names: x509.GeneralName, ca: bool | None = False, usage: str | None = "digital_signature"
) -> bytes:
    """Return a leaf with these names, and with constraints and usages that may be left out."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(distinguished_name("client.example"))
        .issuer_name(CA.certificate.subject)
        .public_key(CA.key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if usage is not None:
        names_of_usages = (
            *("digital_signature", "content_commitment", "key_encipherment"),
            *("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
            *("encipher_only", "decipher_only"),
        )
        usages = {name: name == usage for name in names_of_usages}
        builder = builder.add_extension(x509.KeyUsage(**usages), critical=True)
    return der(builder.sign(CA.key, hashes.SHA256()))


def uri(text: str) -> x509.GeneralName:
    """Return a URI of a certificate, also one that is none."""
    return x509.UniformResourceIdentifier(text)


def dns(text: str) -> x509.GeneralName:
    """Return a DNS name of a certificate, also one that is none."""
    return x509.DNSName(text)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        ([uri(PAYMENTS)], [PAYMENTS]),
        ([dns("Web.Example.org"), uri(PAYMENTS)], ["web.example.org", PAYMENTS]),
        ([dns("a.example"), dns("A.example."), dns("b.example")], ["a.example", "b.example"]),
        ([dns("*.example.org"), dns("partner.example")], ["partner.example"]),
        ([uri("https://example.org/a"), uri("urn:uuid:b"), dns("a.example")], ["a.example"]),
        ([x509.RFC822Name("me@example.org")], []),
    ],
)
def test_the_names_in_their_order(names: list[x509.GeneralName], expected: list[str]) -> None:
    """SPIFFE IDs and DNS names count, in the certificate's order, and the subject never does."""
    read = client_leaf(leaf(*names))

    assert expected == list(map(str, read.identities))
    assert datetime(2027, 1, 1, tzinfo=UTC) == read.not_after


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (leaf(uri(PAYMENTS), uri("spiffe://example.org/web")), "one URI"),
        (leaf(uri("https://example.org"), uri(PAYMENTS)), "one URI"),
        (leaf(uri("spiffe://example.org")), "no path"),
        (leaf(uri("spiffe://example.org/a/../b")), "which is none"),
        (leaf(uri("SPIFFE://example.org/payments")), "which is none"),
        (leaf(uri(PAYMENTS), ca=True), "may sign others"),
        (leaf(uri(PAYMENTS), ca=None, usage="key_cert_sign"), "may sign others"),
        (leaf(uri(PAYMENTS), usage="crl_sign"), "may sign others"),
        (leaf(dns("partner.example\0.evil.example")), "which is none"),
        (leaf(dns("")), "which is none"),
        (b"no certificate", "cannot be read"),
        (leaf(dns("partner.example"))[:-1], "cannot be read"),
    ],
)
def test_what_identifies_nobody(certificate: bytes, message: str) -> None:
    """What the SPIFFE specification has refused is refused, and so is what cannot be read."""
    with pytest.raises(CertificateError, match=message):
        client_leaf(certificate)


def test_a_spiffe_certificate_may_lack_constraints() -> None:
    """Without the extensions nothing says that it may sign."""
    read = client_leaf(leaf(uri(PAYMENTS), ca=None, usage=None))

    assert [PAYMENTS] == list(map(str, read.identities))


class PanicException(BaseException):
    """What pyo3 raises when Rust code panics."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("odd"), CertificateError),
        (PanicException("odd"), CertificateError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_whatever_a_parser_raises(
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    expected: type[BaseException],
) -> None:
    """A parser that fails, or panics, gives an error like any other; Ctrl-C stays what it is."""

    def fail(_: bytes) -> NoReturn:
        raise error

    monkeypatch.setattr(x509, "load_der_x509_certificate", fail)
    read: Callable[[bytes], object] = client_leaf.__wrapped__

    with pytest.raises(expected):
        read(b"anything")
