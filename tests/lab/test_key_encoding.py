import base64
import hashlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from holdfast.certificates.spki import spki_of as strict_spki_of
from holdfast.lab.authorities import Authority, Identity, new_key
from holdfast.lab.issuance import der
from holdfast.lab.key_encoding import ecdsa_sha256, is_for_pss, spki_of
from holdfast.lab.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage."""
    return Stage.new()


def test_the_key_is_found_as_it_stands_there(stage: Stage) -> None:
    """What is cut out is what Holdfast's own strict walk finds, for each kind of key."""
    for kind in ("ed25519", "ec-521", "rsa-pss"):
        certificate = stage.unusual(kind).certificate
        assert strict_spki_of(der(certificate)) == spki_of(certificate)


def test_a_key_for_pss_only(stage: Stage) -> None:
    """The certificate says that the key is for RSA-PSS only, and its CA's signature is good."""
    identity = stage.unusual("rsa-pss")
    identity.certificate.verify_directly_issued_by(stage.issuing.certificate)

    assert is_for_pss(identity.certificate)
    assert PublicKeyAlgorithmOID.RSASSA_PSS == identity.certificate.public_key_algorithm_oid
    assert not is_for_pss(stage.server.certificate)


def test_the_private_key_is_the_same(stage: Stage) -> None:
    """The file says RSA-PSS too, without which OpenSSL finds that the two do not fit."""
    identity = stage.unusual("rsa-pss")
    loaded = serialization.load_pem_private_key(identity.key_pem.encode(), None)

    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert isinstance(identity.key, rsa.RSAPrivateKey)
    assert identity.key.private_numbers() == loaded.private_numbers()
    identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_the_pin_is_over_the_bytes(stage: Stage) -> None:
    """The pin is the digest of what stands in the certificate, not of the key written anew."""
    identity = stage.unusual("rsa-pss")
    digest = hashlib.sha256(spki_of(identity.certificate)).digest()

    assert f"sha256/{base64.b64encode(digest).decode()}" == identity.spki_pin
    assert x509.load_der_x509_certificate(identity.der) == identity.certificate


def test_only_ecdsa_signs_anew() -> None:
    """Another kind of CA would leave a signature that is not the one that is named."""
    with pytest.raises(TypeError, match="elliptic curve"):
        ecdsa_sha256(new_key("ed25519"))


def test_unusual_keys_stay_the_same(stage: Stage) -> None:
    """A stage has one honest identity of a kind, and a new one for each attacker."""
    by_rogue: list[Identity] = [stage.unusual("ec-521", stage.rogue) for _ in range(2)]

    assert stage.unusual("ec-521") is stage.unusual("ec-521")
    assert by_rogue[0].spki_pin != by_rogue[1].spki_pin


def test_certificates_of_other_authorities_are_left_alone() -> None:
    """A root signs itself with the key that it shows."""
    root = Authority.new("A root").certificate
    root.verify_directly_issued_by(root)
