"""One host, `api.example.com`, below two CAs; its keys are numbered, so that its pins are known."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.certificates.spki import chain_certificate
from holdfast.findings.explain import explain
from holdfast.findings.observed import observe
from holdfast.lab.authorities import Authority, Identity, PrivateKey, spki_pin
from holdfast.lab.issuance import der
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Verdict, Violation

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
END = datetime(2027, 1, 30, tzinfo=UTC)
ROOT_KEY, CA_KEY, LEAF_KEY = 1, 2, 3


def _key(number: int) -> PrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


@pytest.fixture
def now() -> datetime:
    """When everything here is decided; the certificates are valid then."""
    return NOW


@pytest.fixture
def key() -> Callable[[int], PrivateKey]:
    """Return the key with a number; 1 to 3 are those of the root, the CA and the leaf."""
    return _key


@pytest.fixture
def pin() -> Callable[[int], Pin]:
    """Return the pin of the key with a number."""
    return lambda number: Pin.parse(spki_pin(_key(number)))


@pytest.fixture(scope="session")
def root() -> Authority:
    """The anchor."""
    return Authority.new("Lab Root", key=_key(ROOT_KEY), not_before=BEGIN, not_after=END)


@pytest.fixture(scope="session")
def issuing(root: Authority) -> Authority:
    """The CA below it."""
    return root.intermediate("Lab CA", key=_key(CA_KEY), not_before=BEGIN, not_after=END)


@pytest.fixture(scope="session")
def server(issuing: Authority) -> Identity:
    """The host's own certificate."""
    return issuing.issue("api.example.com", key=_key(LEAF_KEY), not_before=BEGIN, not_after=END)


@pytest.fixture
def links() -> Callable[..., tuple[ChainCertificate, ...]]:
    """Return certificates with their digests."""

    def make(*certificates: x509.Certificate) -> tuple[ChainCertificate, ...]:
        return tuple(chain_certificate(der(certificate)) for certificate in certificates)

    return make


@pytest.fixture
def path(
    server: Identity, root: Authority, links: Callable[..., tuple[ChainCertificate, ...]]
) -> VerifiedChain:
    """The verified path to the host."""
    return VerifiedChain(links(*server.chain, root.certificate))


@pytest.fixture
def presented(path: VerifiedChain) -> PresentedChain:
    """What the host sends: the same without the root."""
    return PresentedChain(path.certificates[:-1])


@pytest.fixture
def policy() -> Callable[..., Policy]:
    """Make a policy with one set, for `api.example.com`, out of the set's fields."""

    def make(
        *, unlisted: Unlisted = Unlisted.ALLOW, denied: tuple[Pin, ...] = (), **fields: object
    ) -> Policy:
        defaults: dict[str, object] = {
            "name": "payments",
            "hosts": (HostPattern.parse("api.example.com"),),
            "mode": Mode.ENFORCE,
            "owner": "payments team <pay@example.com>",
        }
        pin_set = PinSet(**(defaults | fields))  # type: ignore[arg-type]
        return Policy(unlisted=unlisted, denied=denied, pin_sets=(pin_set,))

    return make


@pytest.fixture
def decide(policy: Callable[..., Policy], path: VerifiedChain) -> Callable[..., Verdict]:
    """Decide on the path to the host, or on another chain, by the policy made of the rest."""

    def make(
        chain: VerifiedChain | ProvenLeaf = path, *, host: str = "api.example.com", **fields: object
    ) -> Verdict:
        return evaluate(policy(**fields), host, chain, NOW)

    return make


@pytest.fixture
def told(now: datetime) -> Callable[..., str]:
    """Explain a violation on port 443 after observing it, as enforcement does."""

    def make(
        verdict: Verdict,
        *,
        presented: PresentedChain | None = None,
        anchor_is_public: bool | None = None,
        verify_code: int | None = None,
    ) -> str:
        observed = observe(
            verdict,
            presented=presented,
            anchor_is_public=anchor_is_public,
            verify_code=verify_code,
        )
        violation = Violation(
            verdict=verdict, observed=observed, time=now, port=443, presented=presented
        )
        return f"\n{explain(violation)}\n"

    return make
