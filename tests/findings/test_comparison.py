"""What was expected beside what was seen."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from holdfast.errors import PinFormatError
from holdfast.findings.comparison import expected_column, seen_column, shortened
from holdfast.findings.explain import explain_verdict
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import der
from holdfast.pins.chain import PresentedChain, VerifiedChain
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, Require, Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Verdict


def test_expected_pins_stand_in_full_with_their_lists(
    policy: Callable[..., Policy], pin: Callable[[int], Pin]
) -> None:
    """Each pin has a row with the list it stands in, in the order of the policy."""
    pin_set = policy(leaf=(pin(3),), backup=(pin(4),), ca=(pin(5),)).pin_sets[0]

    assert [
        "expected: any one of these pins",
        f"leaf    {pin(3)}",
        f"backup  {pin(4)}",
        f"ca      {pin(5)}",
    ] == expected_column(pin_set)


def test_expected_says_how_pins_and_anchors_count(
    policy: Callable[..., Policy], pin: Callable[[int], Pin], root: Authority
) -> None:
    """The title says whether one pin is enough, and whether the path must end in an anchor."""
    both = {"leaf": (pin(3),), "ca": (pin(5),), "require": Require.LEAF_AND_CA}
    private = {"trust": Trust.PRIVATE, "anchors": (der(root.certificate),)}
    columns = [
        expected_column(policy(mode=Mode.REPORT_ONLY, **fields).pin_sets[0])
        for fields in (both, private, both | private)
    ]

    assert [
        "expected: a leaf or backup pin, and a ca pin",
        "expected: a path to an anchor of the set",
        "expected: a leaf or backup pin, and a ca pin, under its anchors",
    ] == [column[0] for column in columns]
    assert "anchor  CN=Lab Root" == columns[1][-1] == columns[2][-1]


def test_certificates_have_both_digests_where_certificates_are_pinned(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], path: VerifiedChain
) -> None:
    """A set with a certificate pin is compared with the digests of certificates as well."""
    leaf = Pin.of_certificate(path.certificates[0].der)
    verdict = decide(leaf=(Pin.of_certificate(b"another"),), backup=(pin(5),))

    column = seen_column(verdict, None, None, marks={0: ">"}, width=32)
    assert [
        "seen: verified path, leaf first",
        "> 0 CN=api.example.com",
        "    EC P-256",
        f"    {shortened(pin(3))}",
        f"    {shortened(leaf)}",
        "  1 CN=Lab CA",
    ] == column[:6]


def test_many_certificates_are_cut_short(
    presented: PresentedChain, pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A server that sends very many certificates cannot flood the log."""
    many = PresentedChain(presented.certificates * 50)
    verdict = replace(
        decide(leaf=(pin(4),), mode=Mode.REPORT_ONLY), outcome=Outcome.UNTRUSTED, chain=many
    )
    text = explain_verdict(verdict)

    assert "and 90 more" in text
    assert len(text.split("\n")) < 60


def test_seen_key_cannot_be_pasted_into_the_policy(
    path: VerifiedChain,
    presented: PresentedChain,
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
    told: Callable[..., str],
) -> None:
    """The pin of a key that was seen is never there in full, and what is there is no pin."""
    text = told(decide(leaf=(pin(4),), backup=(pin(5),)), presented=presented)
    seen = [Pin.parse(str(pin(number))) for number in (1, 2, 3)]

    assert [] == [str(one) for one in seen if str(one) in text]
    assert [] == [one for one in seen if shortened(one) not in text]
    with pytest.raises(PinFormatError):
        Pin.parse(shortened(seen[0]))
