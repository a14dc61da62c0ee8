"""The places that are pointed at when a path does not satisfy a set."""

from collections.abc import Callable

import pytest

from holdfast.findings.nearest_miss import nearest_misses
from holdfast.lab.authorities import Authority, Identity, PrivateKey
from holdfast.lab.issuance import der
from holdfast.pins.chain import ChainCertificate, PresentedChain, VerifiedChain
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Require, Trust
from holdfast.pins.policy import Policy

ROOT, CA, LEAF, UNUSED, OTHER = 1, 2, 3, 4, 5


@pytest.fixture
def misses(
    policy: Callable[..., Policy], path: VerifiedChain
) -> Callable[..., list[tuple[tuple[int, ...], str]]]:
    """Return positions and texts for a set made of fields, on the path or a part of it."""

    def make(
        *, length: int = 3, presented: PresentedChain | None = None, **fields: object
    ) -> list[tuple[tuple[int, ...], str]]:
        pin_set = policy(mode=Mode.REPORT_ONLY, **fields).pin_sets[0]
        found = nearest_misses(pin_set, path.certificates[:length], presented)
        return [(miss.positions, miss.text) for miss in found]

    return make


def test_places_where_pins_belong(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]], pin: Callable[[int], Pin]
) -> None:
    """With nothing near, the places are pointed at where a pin could have matched."""
    at_leaf = ((0,), "0 is where a `leaf` or `backup` pin belongs, and has another key")
    at_issuers = ((1, 2), "a `ca` pin belongs on any place after 0, and each has another key")
    nowhere = ((), "a `ca` pin belongs on a place after 0, and there is none")

    assert [at_leaf] == misses(leaf=(pin(UNUSED),))
    assert [at_leaf] == misses(backup=(pin(UNUSED),))
    assert [at_issuers] == misses(ca=(pin(UNUSED),))
    assert [at_leaf, at_issuers] == misses(leaf=(pin(UNUSED),), ca=(pin(OTHER),))
    assert [nowhere] == misses(length=1, ca=(pin(UNUSED),))


def test_pins_in_the_other_role(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]], pin: Callable[[int], Pin]
) -> None:
    """A pin of the set at a place where it does not match is pointed at, with its list."""
    assert [((0,), "0 has a `ca` pin, which does not match a leaf")] == misses(ca=(pin(LEAF),))
    assert [((1,), "1 has a `leaf` pin, which does not match a CA")] == misses(leaf=(pin(CA),))
    assert [((2,), "2 has a `backup` pin, which does not match a CA")] == misses(
        leaf=(pin(UNUSED),), backup=(pin(ROOT),)
    )


def test_whole_certificate_in_the_other_role(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]], path: VerifiedChain
) -> None:
    """A certificate pin is recognized like a key pin."""
    own = Pin.of_certificate(path.certificates[0].der)

    assert [((0,), "0 has a `ca` pin, which does not match a leaf")] == misses(ca=(own,))


def test_half_of_what_is_asked(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]], pin: Callable[[int], Pin]
) -> None:
    """Where a leaf and a CA are asked for, the half that is missing is pointed at."""
    both = {"require": Require.LEAF_AND_CA}

    assert [((1, 2), "the leaf has its pin, but no CA on the path has a `ca` pin")] == misses(
        leaf=(pin(LEAF),), ca=(pin(OTHER),), **both
    )
    assert [((0,), "a CA has its pin, but the leaf has no `leaf` or `backup` pin")] == misses(
        leaf=(pin(UNUSED),), ca=(pin(CA),), **both
    )
    assert 2 == len(misses(leaf=(pin(UNUSED),), ca=(pin(OTHER),), **both))


def test_foreign_anchor(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]], key: Callable[[int], PrivateKey]
) -> None:
    """The end of the path is pointed at when it is no anchor of a private set."""
    stranger = Authority.new("Other Root", key=key(OTHER))

    assert [((2,), "2 ends the path and is no anchor of the set")] == misses(
        trust=Trust.PRIVATE, anchors=(der(stranger.certificate),)
    )


def test_what_was_only_sent(
    misses: Callable[..., list[tuple[tuple[int, ...], str]]],
    links: Callable[..., tuple[ChainCertificate, ...]],
    server: Identity,
    issuing: Authority,
    root: Authority,
    pin: Callable[[int], Pin],
) -> None:
    """Sent certificates with a pin are named, at most three of them; those on the path are not."""
    sent = PresentedChain(links(server.certificate, issuing.certificate, *[root.certificate] * 9))
    text = "CN=Lab Root has a `ca` pin and was sent, but is not on the path"

    assert [((), text)] * 3 == misses(length=1, ca=(pin(ROOT),), presented=sent)
    assert [((), text)] != misses(length=3, ca=(pin(ROOT),), presented=sent)
