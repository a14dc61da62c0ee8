from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import holdfast
from holdfast.certificates.load_chain import certificates_in
from holdfast.enforcement.clients.pinned_roots import RootStack, pinned_roots
from holdfast.errors import LossError
from holdfast.formats.loss import Effect, LossKind
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.issuance import der, pem
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, Require
from holdfast.pins.policy import Policy, Unlisted

ANY = RootStack("a stack", takes_any=True)
ROOTS_ONLY = RootStack("a stack", takes_any=False)
PolicyFor = Callable[..., Policy]


@pytest.fixture
def pem_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes certificates to a file."""

    def write(*certificates: x509.Certificate) -> Path:
        path = tmp_path / "pinned.pem"
        path.write_text(pem(certificates), "ascii")
        return path

    return write


def _changed(policy: Policy, **fields: Any) -> Policy:  # noqa: ANN401
    return replace(policy, pin_sets=(replace(policy.pin_sets[0], **fields),))


def test_the_roots_are_the_given_certificates(
    policy_for: PolicyFor, pem_of: Callable[..., Path], issuing: Authority, honest: Authority
) -> None:
    """Each certificate with a pin is a root, once, in DER and in PEM."""
    policy = policy_for(ca=issuing.spki_pin)
    both = _changed(policy, ca=(*policy.pin_sets[0].ca, Pin.parse(honest.cert_pin)))
    path = pem_of(issuing.certificate, honest.certificate, issuing.certificate)

    roots = pinned_roots(both, "LOCALHOST.", ANY, certificates=path)

    assert (der(issuing.certificate), der(honest.certificate)) == roots.certificates
    assert roots.certificates == certificates_in(roots.pem.encode("ascii"), "the text")


def test_a_stranger_is_no_root(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity, honest: Authority
) -> None:
    """A certificate without a pin would let through what the policy refuses."""
    path = pem_of(identity.certificate, honest.certificate)

    with pytest.raises(holdfast.HoldfastError, match=r"certificate 2 of .* has no pin") as caught:
        pinned_roots(policy, "localhost", ANY, certificates=path)

    assert "leave it out" in str(caught.value)


@pytest.mark.parametrize("role", ["leaf", "ca"])
def test_a_root_is_what_it_is_pinned_as(
    role: str,
    policy_for: PolicyFor,
    pem_of: Callable[..., Path],
    identity: Identity,
    honest: Authority,
) -> None:
    """A CA that is pinned as a leaf would vouch for others as a root; a leaf is no CA."""
    policy, certificate = {
        "leaf": (policy_for(leaf=honest.spki_pin), honest.certificate),
        "ca": (policy_for(ca=identity.spki_pin), identity.certificate),
    }[role]

    with pytest.raises(holdfast.HoldfastError, match="basicConstraints do not"):
        pinned_roots(policy, "localhost", ANY, certificates=pem_of(certificate))


def test_a_certificate_that_does_not_say_what_it_is(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity
) -> None:
    """Without basicConstraints a certificate is no root: some verifiers take it for a CA."""
    leaf = identity.certificate
    bare = (
        x509.CertificateBuilder(
            leaf.subject,
            leaf.subject,
            leaf.public_key(),
            1,
            leaf.not_valid_before_utc,
            leaf.not_valid_after_utc,
        )
    ).sign(identity.key, hashes.SHA256())

    with pytest.raises(holdfast.HoldfastError, match="basicConstraints do not"):
        pinned_roots(policy, "localhost", ANY, certificates=pem_of(bare))


def test_denied_keys_are_no_roots(
    policy_for: PolicyFor, pem_of: Callable[..., Path], issuing: Authority, honest: Authority
) -> None:
    """A denied certificate is left out, and with the last one the set cannot be held."""
    policy = policy_for(ca=issuing.spki_pin, denied=(issuing.spki_pin,))
    pins = (*policy.pin_sets[0].ca, Pin.parse(honest.spki_pin))
    path = pem_of(issuing.certificate, honest.certificate)

    roots = pinned_roots(_changed(policy, ca=pins), "localhost", ANY, certificates=path)

    assert (der(honest.certificate),) == roots.certificates
    assert (LossKind.DENIED, Effect.LETS_THROUGH) in [
        (loss.kind, loss.effect) for loss in roots.losses
    ]
    with pytest.raises(LossError, match="has a denied key"):
        pinned_roots(policy, "localhost", ANY, certificates=pem_of(issuing.certificate))


def test_only_some_stacks_end_a_path_anywhere(
    policy_for: PolicyFor, pem_of: Callable[..., Path], issuing: Authority, honest: Authority
) -> None:
    """Where a path has to end in a root, an intermediate is an error and not a lock-out."""
    path = pem_of(issuing.certificate)
    with pytest.raises(LossError, match="signs itself"):
        pinned_roots(policy_for(ca=issuing.spki_pin), "localhost", ROOTS_ONLY, certificates=path)

    root = policy_for(ca=honest.spki_pin)
    path = pem_of(honest.certificate)
    assert pinned_roots(root, "localhost", ROOTS_ONLY, certificates=path).certificates


def _losses(policy: Policy, host: str, path: Path | None) -> set[tuple[LossKind, Effect, str]]:
    roots = pinned_roots(policy, host, ANY, certificates=path)
    return {(loss.kind, loss.effect, loss.place.partition(".")[2]) for loss in roots.losses}


def test_what_is_lost_of_leaf_pins(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity
) -> None:
    """A leaf as a root is this certificate alone, and what stands above it is not verified."""
    assert {
        (LossKind.CHAIN, Effect.LETS_THROUGH, "lab.trust"),
        (LossKind.KEY_PINS, Effect.REFUSES, "lab.leaf"),
        (LossKind.KEY_PINS, Effect.REFUSES, "lab.backup"),
        (LossKind.REPORTS, Effect.NEITHER, "lab.mode"),
    } == _losses(policy, "localhost", pem_of(identity.certificate))


def test_what_is_lost_of_certificate_pins(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity
) -> None:
    """Pins over whole certificates that are all given lose nothing but the path above."""
    exact = _changed(
        policy,
        leaf=(Pin.parse(identity.cert_pin),),
        backup=(),
        single_pin="I accept lock-out",
    )

    assert {
        (LossKind.CHAIN, Effect.LETS_THROUGH, "lab.trust"),
        (LossKind.REPORTS, Effect.NEITHER, "lab.mode"),
    } == _losses(exact, "localhost", pem_of(identity.certificate))


def test_what_is_lost_of_both(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity, honest: Authority
) -> None:
    """Where a set asks for leaf and CA, one root of either is enough for the stack."""
    cas = (Pin.parse(honest.spki_pin), Pin.of_spki(b"1"))
    both = _changed(policy, ca=cas, require=Require.LEAF_AND_CA)
    path = pem_of(identity.certificate, honest.certificate)

    assert {
        (LossKind.LEAF_AND_CA, Effect.LETS_THROUGH, "lab.require"),
        (LossKind.KEY_PINS, Effect.REFUSES, "lab.ca"),
    } <= _losses(both, "localhost", path)


def test_a_private_set(sets: tuple[PinSet, ...], spare_pin: Pin, mesh: Authority) -> None:
    """Its anchors are the roots and lose nothing; pins beside them are lost without a file."""
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=sets[1:2])
    assert {(LossKind.REPORTS, Effect.NEITHER, "mesh.mode")} == _losses(
        policy, "mesh.internal", None
    )
    assert (der(mesh.certificate),) == pinned_roots(policy, "mesh.internal", ANY).certificates

    pinned = _changed(policy, leaf=(spare_pin,))
    assert (LossKind.KEY_PINS, Effect.LETS_THROUGH, "mesh.anchors") in _losses(
        pinned, "mesh.internal", None
    )
    with pytest.raises(LossError, match="whatever its key"):
        pinned_roots(pinned, "mesh.internal", ANY, strict=True)


def test_a_device(device_policy: PolicyFor, pem_of: Callable[..., Path], device: Identity) -> None:
    """A device's own certificate is a root; that its name counts for nothing is lost."""
    policy = device_policy(check_name=False, check_validity=False)

    losses = _losses(policy, "device.internal", pem_of(device.certificate))

    assert {
        (LossKind.SETTING, Effect.REFUSES, "device.check_name"),
        (LossKind.SETTING, Effect.REFUSES, "device.check_validity"),
    } <= losses
    assert LossKind.CHAIN not in {kind for kind, *_ in losses}
    other = pem_of(self_signed("device.internal").certificate)
    with pytest.raises(holdfast.HoldfastError, match="has no pin"):
        pinned_roots(policy, "device.internal", ANY, certificates=other)


def test_an_unlisted_host(policy: Policy) -> None:
    """Where there is nothing to pin, nothing is said to be pinned."""
    with pytest.raises(holdfast.HoldfastError, match="no pin set covers it"):
        pinned_roots(policy, "elsewhere.example", ANY)
