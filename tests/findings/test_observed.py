"""What a refusal saw, and which of several true things is said."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from holdfast.findings.observed import observe
from holdfast.lab.authorities import Authority, Identity, PrivateKey, self_signed
from holdfast.lab.issuance import der
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import undecidable, untrusted
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, Require, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Verdict

ROOT, CA, LEAF, UNUSED, OTHER = 1, 2, 3, 4, 5


@pytest.mark.parametrize(
    ("verify_code", "expected"),
    [
        (9, Observed.CLOCK),
        (10, Observed.CLOCK),
        (18, Observed.SELF_SIGNED),
        (19, Observed.SELF_SIGNED),
        (20, Observed.UNKNOWN),
        (62, Observed.WRONG_HOST),
        (64, Observed.WRONG_HOST),
        (None, Observed.UNKNOWN),
    ],
)
def test_untrusted_goes_by_the_code_of_openssl(
    verify_code: int | None,
    expected: Observed,
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
) -> None:
    """What OpenSSL says is sorted into time, name and self-signed; the rest stays unknown."""
    verdict = untrusted(policy(leaf=(pin(LEAF),), mode=Mode.REPORT_ONLY), "api.example.com", "why")

    assert expected == observe(verdict, verify_code=verify_code)


def test_new_key(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A public path that has no pin of a set of leaf keys shows a new key."""
    verdict = decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),))

    assert Observed.NEW_KEY == observe(verdict, anchor_is_public=True)


def test_new_issuer_goes_before_new_key(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """Where a set has leaf and CA pins and none is there, the issuer is named."""
    verdict = decide(leaf=(pin(UNUSED),), ca=(pin(OTHER),), mode=Mode.REPORT_ONLY)

    assert Observed.NEW_ISSUER == observe(verdict)


def test_pinned_ca_with_a_new_leaf_is_a_new_key(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """Where both are asked for and the CA is there, it is the key that is new."""
    verdict = decide(
        leaf=(pin(UNUSED),), ca=(pin(CA),), require=Require.LEAF_AND_CA, mode=Mode.REPORT_ONLY
    )

    assert Observed.NEW_KEY == observe(verdict)


def test_ca_pin_on_the_leaf_is_no_issuer(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A leaf that has a `ca` pin does not count as an issuer on the path."""
    assert Observed.NEW_ISSUER == observe(decide(ca=(pin(LEAF), pin(OTHER))))


def test_foreign_anchor_of_a_private_set_is_a_new_issuer(
    root: Authority,
    pin: Callable[[int], Pin],
    key: Callable[[int], PrivateKey],
    decide: Callable[..., Verdict],
) -> None:
    """A path that ends in no anchor of a private set has a new issuer, even if a pin is on it."""
    stranger = Authority.new("Other Root", key=key(OTHER))
    anchors = (der(stranger.certificate),)
    private = {"trust": Trust.PRIVATE, "mode": Mode.REPORT_ONLY}

    assert Observed.NEW_ISSUER == observe(decide(anchors=anchors, **private))
    assert Observed.NEW_ISSUER == observe(decide(anchors=anchors, leaf=(pin(LEAF),), **private))
    own = decide(anchors=(der(root.certificate),), leaf=(pin(UNUSED),), **private)
    assert Observed.NEW_KEY == observe(own, anchor_is_public=False)


def test_other_path(
    presented: PresentedChain,
    issuing: Authority,
    root: Authority,
    server: Identity,
    pin: Callable[[int], Pin],
    links: Callable[..., tuple[ChainCertificate, ...]],
    decide: Callable[..., Verdict],
) -> None:
    """A pin on what was sent, but not on the path, is told; what is sent and on the path is not."""
    verdict = decide(ca=(pin(OTHER), pin(UNUSED)))
    cross_signed = Authority.new("Pinned Root").cross_sign(issuing)
    pinned = decide(
        VerifiedChain(links(server.certificate, cross_signed.certificate)),
        ca=(pin(ROOT), pin(UNUSED)),
    )

    assert Observed.NEW_ISSUER == observe(verdict, presented=presented)
    sent = PresentedChain(links(server.certificate, issuing.certificate, root.certificate))
    assert Observed.OTHER_PATH == observe(pinned, presented=sent)
    misplaced = decide(leaf=(pin(CA),), backup=(pin(OTHER),))
    assert Observed.NEW_KEY == observe(misplaced, presented=presented)


def test_private_anchor_goes_before_what_was_sent(
    path: VerifiedChain,
    pin: Callable[[int], Pin],
    key: Callable[[int], PrivateKey],
    links: Callable[..., tuple[ChainCertificate, ...]],
    decide: Callable[..., Verdict],
) -> None:
    """An interceptor that sends the real certificate along is still named by its anchor."""
    proxy = Authority.new("Proxy Root", key=key(OTHER))
    forged = proxy.issue("api.example.com", key=key(UNUSED))
    verdict = decide(
        VerifiedChain(links(forged.certificate, proxy.certificate)),
        leaf=(pin(LEAF),),
        mode=Mode.REPORT_ONLY,
    )
    sent = PresentedChain((*links(forged.certificate), path.certificates[0]))

    assert Observed.PRIVATE_ANCHOR == observe(verdict, presented=sent, anchor_is_public=False)
    assert Observed.OTHER_PATH == observe(verdict, presented=sent, anchor_is_public=True)


def test_self_signed_is_a_lone_certificate_that_is_its_own_issuer(
    path: VerifiedChain,
    pin: Callable[[int], Pin],
    key: Callable[[int], PrivateKey],
    links: Callable[..., tuple[ChainCertificate, ...]],
    decide: Callable[..., Verdict],
) -> None:
    """A lone leaf of another issuer, and one that cannot be read, only have a new key."""
    device = self_signed("api.example.com", key=key(LEAF))
    junk = ChainCertificate(b"junk", b"k" * 32, b"c" * 32)
    lone = {
        Observed.SELF_SIGNED: links(device.certificate)[0],
        Observed.NEW_KEY: path.certificates[0],
    }
    pins_only = {"trust": Trust.PINS_ONLY, "leaf": (pin(UNUSED),), "mode": Mode.REPORT_ONLY}

    assert list(lone) == [observe(decide(ProvenLeaf(one), **pins_only)) for one in lone.values()]
    assert Observed.NEW_KEY == observe(decide(ProvenLeaf(junk), **pins_only))


def test_outcomes_that_speak_for_themselves(
    path: VerifiedChain,
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
    decide: Callable[..., Verdict],
) -> None:
    """A denied key and expired pins are what was seen, whatever else is true; the rest is not."""
    fields = {"leaf": (pin(UNUSED),), "backup": (pin(OTHER),)}
    denied = decide(denied=(pin(ROOT),), **fields)
    expired = decide(
        expires=datetime(2026, 11, 1, tzinfo=UTC), on_expiry=OnExpiry.REPORT_ONLY, **fields
    )
    refused = decide(host="www.example.com", unlisted=Unlisted.REFUSE, **fields)
    blind = undecidable(policy(**fields), "api.example.com", "why")
    match = decide(leaf=(pin(LEAF),), backup=(pin(OTHER),))

    seen = [
        observe(verdict, anchor_is_public=False, verify_code=10)
        for verdict in (denied, expired, refused, blind, match)
    ]
    assert [Observed.DENIED_KEY, Observed.EXPIRED_PINS, *[Observed.UNKNOWN] * 3] == seen
