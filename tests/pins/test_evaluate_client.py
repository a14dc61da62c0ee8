"""The rules for clients, row by row; stand-ins for certificates, since only digests count."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.evaluate_client import NAMELESS, evaluate_client
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Match, Outcome, Role, Verdict

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAYMENTS = ClientIdentity("spiffe://example.org/payments")
PARTNER = ClientIdentity("partner.example")


def certificate(name: str) -> ChainCertificate:
    """Return a stand-in for a certificate."""
    der = f"certificate {name}".encode()
    return ChainCertificate(
        der, Pin.of_spki(f"key {name}".encode()).digest, Pin.of_certificate(der).digest
    )


def key_of(name: str) -> Pin:
    """Return the key pin of the certificate of this name."""
    return Pin(PinAlgorithm.SPKI, certificate(name).spki_sha256)


def path(*names: str) -> VerifiedChain:
    """Return a verified path of these certificates."""
    return VerifiedChain(tuple(map(certificate, names)))


def pin_set(name: str, *clients: ClientIdentity, **fields: Any) -> PinSet:  # noqa: ANN401
    """Return a set for clients, by default of private trust with its own root."""
    sound: dict[str, Any] = {
        "mode": Mode.ENFORCE,
        "trust": Trust.PRIVATE,
        "anchors": (certificate(f"{name} root").der,),
    }
    return PinSet(name=name, hosts=(), clients=clients, **sound | fields)


def decide(
    *pin_sets: PinSet,
    identities: tuple[ClientIdentity, ...] = (PAYMENTS,),
    chain: VerifiedChain | None = None,
    denied: tuple[Pin, ...] = (),
    public_anchors: tuple[bytes, ...] = (),
) -> Verdict:
    """Evaluate under a policy of these sets, which would allow unlisted hosts."""
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=pin_sets, denied=denied)
    chain = chain or path("leaf", "mesh root")
    return evaluate_client(policy, identities, chain, NOW, public_anchors=public_anchors)


def test_private_anchors_alone() -> None:
    """Under the set's own anchor a client that the set names comes in, by that anchor."""
    verdict = decide(pin_set("mesh", PAYMENTS))

    anchor = Pin(PinAlgorithm.CERTIFICATE, certificate("mesh root").cert_sha256)
    assert (Outcome.MATCH, True) == (verdict.outcome, verdict.allowed)
    assert Match(anchor, Role.CA, 1) == verdict.matched
    assert str(PAYMENTS) == verdict.host
    assert verdict.is_client


@pytest.mark.parametrize("pins", [{"leaf": (key_of("leaf"),)}, {"ca": (key_of("issuer"),)}])
def test_pins_of_leaf_and_ca(pins: dict[str, Any]) -> None:
    """With pins the anchor is not enough: the leaf or a CA has to have one."""
    mesh = pin_set("mesh", PAYMENTS, **pins)
    right, wrong = path("leaf", "issuer", "mesh root"), path("thief", "other", "mesh root")

    assert Outcome.MATCH is decide(mesh, chain=right).outcome
    assert (Outcome.MISMATCH, False) == _answer(decide(mesh, chain=wrong))


def test_an_exact_identity_goes_before_its_trust_domain() -> None:
    """The set that names this very client decides, and the domain's set about all others."""
    domain = pin_set("mesh", ClientIdentity("spiffe://example.org"))
    strict = pin_set("payments", PAYMENTS, anchors=domain.anchors, leaf=(key_of("hsm"),))
    other = ClientIdentity("spiffe://example.org/web")

    assert (Outcome.MISMATCH, False) == _answer(decide(domain, strict))
    assert (Outcome.MATCH, True) == _answer(decide(domain, strict, identities=(other,)))


@pytest.mark.parametrize(
    ("identities", "host"), [((), NAMELESS), ((PARTNER, PAYMENTS), str(PARTNER))]
)
def test_a_client_that_no_set_names(identities: tuple[ClientIdentity, ...], host: str) -> None:
    """It is refused although unlisted hosts are allowed."""
    others = pin_set("mesh", ClientIdentity("spiffe://example.org/web"))
    verdict = decide(others, identities=identities)

    assert (Outcome.NOT_PINNED, False) == _answer(verdict)
    assert (host, True) == (verdict.host, verdict.violation)


def test_names_of_two_sets() -> None:
    """A certificate whose names lead to two sets cannot be decided, whatever their order."""
    mesh, partners = pin_set("mesh", PAYMENTS), pin_set("partners", PARTNER, mode=Mode.REPORT_ONLY)

    for identities in ((PAYMENTS, PARTNER), (PARTNER, PAYMENTS)):
        assert (Outcome.UNDECIDABLE, False) == _answer(
            decide(mesh, partners, identities=identities)
        )


def test_names_that_one_set_names() -> None:
    """Several names of one set are fine, and the first that it names is the client's."""
    verdict = decide(
        pin_set("mesh", PARTNER, PAYMENTS),
        identities=(ClientIdentity("other.example"), PAYMENTS, PARTNER),
    )

    assert Outcome.MATCH is verdict.outcome
    assert str(PAYMENTS) == verdict.host


@pytest.mark.parametrize(
    "lenient",
    [
        {"mode": Mode.REPORT_ONLY},
        {"expires": NOW - timedelta(days=1), "on_expiry": OnExpiry.ALLOW},
    ],
)
def test_the_ca_of_another_set_vouches_for_nobody(lenient: dict[str, Any]) -> None:
    """Trust is not a matter of mode or expiry: a foreign CA makes no client of a lenient set."""
    mesh = pin_set("mesh", PAYMENTS, leaf=(key_of("leaf"),), **lenient)

    assert (Outcome.UNTRUSTED, False) == _answer(decide(mesh, chain=path("leaf", "other root")))
    assert decide(mesh, chain=path("stranger", "mesh root")).allowed


def test_public_trust() -> None:
    """For public sets the named anchors vouch, and no private anchor of another set does."""
    partners = pin_set(
        "partners",
        PARTNER,
        trust=Trust.PUBLIC,
        anchors=(),
        ca=(key_of("issuer"),),
        single_pin=ACCEPT_LOCK_OUT,
    )
    mesh = pin_set("mesh", PAYMENTS)
    public = (certificate("public root").der,)
    right, crossed = path("leaf", "issuer", "public root"), path("leaf", "issuer", "mesh root")

    def answer(chain: VerifiedChain) -> tuple[Outcome, bool]:
        return _answer(
            decide(partners, mesh, identities=(PARTNER,), chain=chain, public_anchors=public)
        )

    assert (Outcome.MATCH, True) == answer(right)
    assert (Outcome.UNTRUSTED, False) == answer(crossed)


def test_pins_only_trust() -> None:
    """Where nothing vouches for a certificate, no path can be asked for, and nobody comes in."""
    devices = pin_set(
        "devices",
        PARTNER,
        trust=Trust.PINS_ONLY,
        anchors=(),
        leaf=(key_of("leaf"),),
        single_pin=ACCEPT_LOCK_OUT,
    )

    assert (Outcome.UNTRUSTED, False) == _answer(decide(devices, identities=(PARTNER,)))


@pytest.mark.parametrize("where", ["leaf", "mesh root"])
@pytest.mark.parametrize("mode", Mode)
def test_a_denied_key(where: str, mode: Mode) -> None:
    """A denied key refuses anywhere on the path, in every mode, and for those whom no set names."""
    mesh = pin_set("mesh", PAYMENTS, mode=mode)
    denied = (key_of(where),)

    assert (Outcome.DENIED, False) == _answer(decide(mesh, denied=denied))
    assert (Outcome.DENIED, False) == _answer(decide(mesh, identities=(), denied=denied))


def test_report_only() -> None:
    """A mismatch of a report-only set comes in, and is a violation."""
    mesh = pin_set("mesh", PAYMENTS, mode=Mode.REPORT_ONLY, leaf=(key_of("hsm"),))
    verdict = decide(mesh)

    assert (Outcome.MISMATCH, True) == _answer(verdict)
    assert (True, None) == (verdict.violation, verdict.matched)


def _answer(verdict: Verdict) -> tuple[Outcome, bool]:
    return verdict.outcome, verdict.allowed
