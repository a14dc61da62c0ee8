from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from holdfast.lab.issuance import (
    KeyKind,
    Limits,
    Signer,
    Validity,
    ca_certificate,
    certified_again,
    distinguished_name,
    leaf_certificate,
    new_key,
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ec", (ec.EllipticCurvePrivateKey, 256)),
        ("ec-384", (ec.EllipticCurvePrivateKey, 384)),
        ("ec-521", (ec.EllipticCurvePrivateKey, 521)),
        ("rsa", (rsa.RSAPrivateKey, 2048)),
    ],
)
def test_key_kinds_name_type_and_size(kind: KeyKind, expected: tuple[type, int]) -> None:
    """A kind of key gives a key of that type and size."""
    key = new_key(kind)

    assert not isinstance(key, ed25519.Ed25519PrivateKey)
    assert isinstance(key, expected[0])
    assert expected[1] == key.key_size


def test_ed25519_is_a_kind_of_key() -> None:
    """Ed25519 has one size only, so its type says all."""
    assert isinstance(new_key("ed25519"), ed25519.Ed25519PrivateKey)


def test_names_that_are_addresses_become_addresses() -> None:
    """DNS names and IP addresses each stand in the SAN under their own type."""
    key = new_key()
    certificate = leaf_certificate(
        ["*.example.com", "127.0.0.1", "::1"],
        None,
        key,
        Signer(key),
        Validity.of(None, None),
        "server",
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert ["*.example.com"] == names.get_values_for_type(x509.DNSName)
    assert ["127.0.0.1", "::1"] == [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    assert distinguished_name("*.example.com") == certificate.subject


def test_a_certificate_without_any_name_is_refused() -> None:
    """Forgetting the names is an error that says what to pass."""
    key = new_key()
    with pytest.raises(ValueError, match="pass DNS names, IP addresses or common_name"):
        leaf_certificate([], None, key, Signer(key), Validity.of(None, None), "server")


def test_only_rsa_keys_may_encipher() -> None:
    """Key usage follows the key: TLS 1.2 can transport a secret under RSA only."""
    usages = {}
    for kind in ("ec", "rsa"):
        key = new_key("ec" if kind == "ec" else "rsa")
        leaf = leaf_certificate(
            ["localhost"], None, key, Signer(key), Validity.of(None, None), "server"
        )
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        usages[kind] = (usage.digital_signature, usage.key_encipherment)

    assert {"ec": (True, False), "rsa": (True, True)} == usages


def test_validity_that_is_not_given_surrounds_now() -> None:
    """By default a certificate is valid now, and for 90 days less than it is old."""
    before = datetime.now(UTC)
    validity = Validity.of(None, None)

    assert validity.not_before < before < validity.not_after
    assert timedelta(days=90, hours=1) == validity.not_after - validity.not_before


def test_validity_may_lie_in_the_past_or_the_future() -> None:
    """One end alone is enough to make an expired or a future certificate."""
    past = datetime(2020, 1, 1, tzinfo=UTC)
    future = datetime.now(UTC) + timedelta(days=400)

    assert Validity(past - timedelta(hours=1), past) == Validity.of(None, past)
    assert Validity(future, future + timedelta(days=90)) == Validity.of(future, None)


def test_limits_of_a_ca() -> None:
    """What may stand below a CA is in its certificate, and critical."""
    key = new_key()
    limits = Limits(path_length=0, names=("customer.example",))
    name, validity = distinguished_name("A CA"), Validity.of(None, None)
    extensions = ca_certificate(name, key.public_key(), Signer(key), validity, limits).extensions
    constraints = extensions.get_extension_for_class(x509.NameConstraints)

    assert 0 == extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    assert [x509.DNSName("customer.example")] == constraints.value.permitted_subtrees
    assert constraints.critical


def test_certified_again() -> None:
    """All is as it was but for the changes, and who signed."""
    key, other, signer = new_key(), new_key(), new_key()
    validity = Validity.of(None, None)
    issuer = ca_certificate(
        distinguished_name("A CA"), signer.public_key(), Signer(signer), validity
    )
    original = leaf_certificate(["localhost"], None, key, Signer(key), validity, "server")
    name = x509.SubjectAlternativeName([x509.DNSName("elsewhere.invalid")])
    again = certified_again(
        original,
        Signer(signer, issuer),
        key=other,
        subject=distinguished_name("another"),
        extensions=[x509.Extension(name.oid, critical=False, value=name)],
    )
    again.verify_directly_issued_by(issuer)

    assert other.public_key() == again.public_key()
    assert distinguished_name("another") == again.subject
    assert original.serial_number == again.serial_number
    assert name == again.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(original.extensions) == len(again.extensions)
