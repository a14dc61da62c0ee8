import base64
import hashlib
import ssl
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from holdfast.lab.authorities import (
    Authority,
    Identity,
    KeyKind,
    new_key,
    self_signed,
    spki_pin,
)


def strict_context(anchors: str) -> ssl.SSLContext:
    """Return a client context with the strictness that is Python's default from 3.13 on."""
    context = ssl.create_default_context(cadata=anchors)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def handshake(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, name: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Do a handshake in memory and return both ends."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client, server


KINDS: list[KeyKind] = ["ec", "ec-384", "rsa", "ed25519"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_strict_openssl_accepts_an_issued_chain(kind: KeyKind, name: str) -> None:
    """A chain of three passes VERIFY_X509_STRICT, for every kind of key and of name."""
    root = Authority.new("Lab Root", kind=kind)
    identity = root.intermediate("Lab Intermediate", kind=kind).issue(name, kind=kind)

    client, _ = handshake(strict_context(root.pem), identity.server_context(), name)

    assert identity.der == client.getpeercert(binary_form=True)


def test_the_verifier_of_cryptography_accepts_an_issued_chain() -> None:
    """The chain also passes the verifier that decides offline."""
    root = Authority.new("Lab Root")
    identity = root.intermediate("One").intermediate("Two").issue("localhost")
    verifier = (
        PolicyBuilder()
        .store(Store([root.certificate]))
        .build_server_verifier(x509.DNSName("localhost"))
    )

    path = verifier.verify(identity.certificate, list(identity.chain[1:]))

    assert [*identity.chain, root.certificate] == path


def test_strict_openssl_accepts_a_self_signed_leaf_that_is_trusted() -> None:
    """A device's own certificate works once it is an anchor."""
    identity = self_signed("localhost")

    client, _ = handshake(strict_context(identity.chain_pem), identity.server_context())

    assert identity.der == client.getpeercert(binary_form=True)
    assert (identity.certificate,) == identity.chain


def test_the_chain_is_leaf_first_and_ends_below_the_root() -> None:
    """What an identity sends is its leaf and the intermediates, in the order of issue."""
    root = Authority.new("Root")
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")

    identity = lower.issue("localhost")

    assert (identity.certificate, lower.certificate, upper.certificate) == identity.chain
    assert 3 == identity.chain_pem.count("BEGIN CERTIFICATE")
    assert root.issue("localhost").chain[1:] == ()


def test_cross_signing_leads_the_same_leaf_to_another_root() -> None:
    """A cross-signed CA keeps name and key, and its leaves verify under the other root."""
    old, new = Authority.new("Old Root"), Authority.new("New Root")

    crossed = old.cross_sign(new)
    identity = new.issue("localhost").with_chain(*crossed.sent)

    assert new.spki_pin == crossed.spki_pin
    assert new.certificate.subject == crossed.certificate.subject
    assert old.certificate.subject == crossed.certificate.issuer
    handshake(strict_context(old.pem), identity.server_context())


def test_a_padded_chain_is_sent_as_given() -> None:
    """Certificates that do not belong to the path are sent all the same, in their order."""
    root, other = Authority.new("Root"), Authority.new("Unrelated")
    identity = root.issue("localhost").with_chain(other.certificate, root.certificate)
    context = identity.server_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = strict_context(root.pem).wrap_bio(to_client, to_server, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()

    flight = to_client.read()  # TLS 1.2 sends certificates in the clear

    ders = [ssl.PEM_cert_to_DER_cert(text) for text in (other.pem, root.pem)]
    places = [flight.find(der) for der in (identity.der, *ders)]
    assert -1 not in places
    assert sorted(places) == places


@pytest.mark.parametrize("kind", KINDS)
def test_pins_are_those_of_openssl(kind: KeyKind) -> None:
    """The lab's pins agree with a second implementation that shares no code with Holdfast."""
    identity = self_signed("localhost", kind=kind)
    spki = subprocess.run(
        ["openssl", "pkey", "-pubout", "-outform", "DER"],
        input=identity.key_pem.encode(),
        capture_output=True,
        check=True,
    ).stdout
    digest = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    whole = base64.b64encode(hashlib.sha256(identity.der).digest()).decode()

    assert f"sha256/{digest}" == identity.spki_pin == spki_pin(identity.key)
    assert f"cert-sha256/{whole}" == identity.cert_pin


def test_a_ca_has_pins_too() -> None:
    """A CA's key pin is that of its key, its certificate pin that of its whole certificate."""
    root = Authority.new("Root")
    whole = hashlib.sha256(ssl.PEM_cert_to_DER_cert(root.pem)).digest()

    assert spki_pin(root.key) == root.spki_pin
    assert f"cert-sha256/{base64.b64encode(whole).decode()}" == root.cert_pin


def test_a_renewal_keeps_the_key_pin_and_changes_the_certificate_pin() -> None:
    """Issuing twice for one key is a renewal."""
    root, key = Authority.new("Root"), new_key()

    first, second = root.issue("localhost", key=key), root.issue("localhost", key=key)

    assert first.spki_pin == second.spki_pin
    assert first.cert_pin != second.cert_pin


def test_validity_and_usage_reach_the_verifier() -> None:
    """An expired leaf and one for clients only are refused, each for its own reason."""
    root = Authority.new("Root")
    expired = root.issue("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    for_clients = root.issue("localhost", usage="client")

    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        handshake(strict_context(root.pem), expired.server_context())
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)unsuitable certificate purpose"):
        handshake(strict_context(root.pem), for_clients.server_context())


def test_a_private_key_is_on_disk_only_for_its_owner_and_only_while_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file with the key has mode 0600 and is gone after loading."""
    load_cert_chain = ssl.SSLContext.load_cert_chain
    seen: list[tuple[Path, int, bool]] = []

    def look_and_load(context: ssl.SSLContext, certfile: str) -> None:
        path = Path(certfile)
        seen.append((path.parent, path.stat().st_mode & 0o777, "PRIVATE KEY" in path.read_text()))
        load_cert_chain(context, certfile)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look_and_load)

    self_signed("localhost").server_context()

    assert [(tmp_path, 0o600, True)] == seen
    assert [] == list(tmp_path.iterdir())


def test_a_private_key_leaves_no_file_when_loading_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ssl refuses a key that is not the leaf's, the file is gone all the same."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mismatched = Identity(new_key(), self_signed("localhost").chain)

    with pytest.raises(ssl.SSLError, match=r"(?i)key.values.mismatch"):
        mismatched.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    assert [] == list(tmp_path.iterdir())


def test_private_keys_do_not_show_in_texts() -> None:
    """What a failing test prints holds no key object."""
    root = Authority.new("Root")

    assert "key=" not in repr(root) + repr(root.issue("localhost"))
