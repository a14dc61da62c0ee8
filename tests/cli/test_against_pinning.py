from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from holdfast.certificates import trust_anchors
from holdfast.certificates.spki import chain_certificate
from holdfast.cli.against_pinning import against_pinning
from holdfast.cli.first_look import Look
from holdfast.lab.authorities import Authority, Identity, new_key
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.pin import Pin

ROOT = Authority.new("root")
NEW_ROOT = Authority.new("new root")
ISSUER = ROOT.intermediate("issuer")
HOST = "api.example.com"


def _rules(
    *identities: Identity, alias: str | None = None, ca_pins: Sequence[str] = ()
) -> list[str]:
    paths = []
    for number, identity in enumerate(identities):
        ders = [link.public_bytes(Encoding.DER) for link in (*identity.chain, ROOT.certificate)]
        chain = VerifiedChain(tuple(map(chain_certificate, ders)))
        paths.append((f"192.0.2.{number}", chain))
    look = Look(Endpoint("https", HOST, 443), tuple(paths), alias)
    return [finding.rule for finding in against_pinning(look, list(map(Pin.parse, ca_pins)))]


def _issued_by(organization: str) -> Identity:
    """Return a leaf whose issuer has an organization in its name."""
    identity = ISSUER.issue(HOST)
    key = new_key()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "CA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(identity.certificate.subject)
        .issuer_name(name)
        .public_key(identity.key.public_key())
        .serial_number(1)
        .not_valid_before(identity.certificate.not_valid_before_utc)
        .not_valid_after(identity.certificate.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return Identity(identity.key, (leaf, ISSUER.certificate))


def test_plain_server_has_nothing_against_it() -> None:
    """One key, one issuer, months of validity, own names: no finding."""
    assert [] == _rules(ISSUER.issue(HOST, "www.example.com"), alias=HOST)


def test_several_keys_and_issuers_are_told() -> None:
    """Different keys on a host's addresses are told, and so are different issuers."""
    other = ROOT.intermediate("other issuer").issue(HOST)

    assert ["HF301"] == _rules(ISSUER.issue(HOST), ISSUER.issue(HOST))
    assert ["HF301", "HF302"] == _rules(ISSUER.issue(HOST), other)


@pytest.mark.parametrize(
    ("identity", "alias"),
    [
        (ISSUER.issue(HOST), "d111.cloudfront.net"),
        (ISSUER.issue(HOST), "X.EDGEKEY.NET."),
        (_issued_by("Google Trust Services"), None),
        (ISSUER.issue(HOST, "a.com", "b.co.uk", "c.org", "d.net", "192.0.2.1"), None),
    ],
)
def test_cdn_is_told_as_a_hint(identity: Identity, alias: str | None) -> None:
    """An alias at a CDN, a managed issuer or a shared certificate is a hint, and is called one."""
    assert ["HF303"] == _rules(identity, alias=alias)


def test_many_names_of_one_owner_are_no_cdn() -> None:
    """However many hosts below one registered domain are not different domains."""
    assert [] == _rules(ISSUER.issue(*(f"{number}.example.co.uk" for number in range(9))))


def test_certificate_that_lives_for_days_is_told() -> None:
    """Six days are told; ninety are not."""
    soon = datetime.now(UTC) + timedelta(days=6)

    assert ["HF304"] == _rules(ISSUER.issue(HOST, not_after=soon))


def test_wildcard_is_told_once() -> None:
    """A certificate for other hosts too is told, however many wildcards it has."""
    assert ["HF305"] == _rules(ISSUER.issue("*.example.com", "*.example.org"))


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the roots ones that browsers agree on."""
    roots = frozenset(Pin.parse(root.spki_pin).digest for root in (ROOT, NEW_ROOT))
    monkeypatch.setattr(trust_anchors, "public_root_spki", lambda: roots)


@pytest.mark.usefixtures("public")
def test_lone_intermediate_of_a_public_ca_is_told() -> None:
    """Intermediates alone are told, beside another CA's root too; with the path's root not."""
    deeper = ISSUER.intermediate("below the issuer")

    assert ["HF307"] == _rules(ISSUER.issue(HOST), ca_pins=[ISSUER.spki_pin])
    assert ["HF307"] == _rules(ISSUER.issue(HOST), ca_pins=[ISSUER.spki_pin, NEW_ROOT.spki_pin])
    assert ["HF307"] == _rules(deeper.issue(HOST), ca_pins=[deeper.spki_pin, ISSUER.spki_pin])
    assert [] == _rules(ISSUER.issue(HOST), ca_pins=[ISSUER.spki_pin, ROOT.spki_pin])


@pytest.mark.usefixtures("public")
def test_root_that_issues_itself_is_no_lone_intermediate() -> None:
    """A root right above the leaf is a root, and so is one that an older root signed too."""
    crossed = ROOT.cross_sign(NEW_ROOT)

    assert [] == _rules(ROOT.issue(HOST), ca_pins=[ROOT.spki_pin])
    assert [] == _rules(crossed.issue(HOST), ca_pins=[crossed.spki_pin])


def test_private_ca_may_pin_its_intermediate() -> None:
    """Whoever runs the CA decides when its intermediate goes."""
    assert [] == _rules(ISSUER.issue(HOST), ca_pins=[ISSUER.spki_pin])
