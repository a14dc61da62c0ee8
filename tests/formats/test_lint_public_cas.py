from collections.abc import Callable
from typing import Any

import pytest

from holdfast.formats.lint_public_cas import PublicRoot, findings_of, set_findings
from holdfast.formats.lint_rule import Rule
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, Require, Trust

X1, X2, G2, G3, OTHER, NEW, NEWER = (Pin.of_spki(bytes([number])) for number in range(7))
ISRG = "Internet Security Research Group"
PRIVATE = {"trust": Trust.PRIVATE, "anchors": (b"a certificate",)}
ROOTS = {
    X1: PublicRoot("CN=X1", ISRG),
    X2: PublicRoot("CN=X2", ISRG),
    G2: PublicRoot("CN=G2", "DigiCert Inc"),
    G3: PublicRoot("CN=G3", "DigiCert, Inc."),
    OTHER: PublicRoot("CN=Other", "Other CA"),
}


@pytest.mark.parametrize(
    ("pins", "rules"),
    [
        ((), []),
        ((G2, G3), ["HF106"]),
        ((G2, OTHER), []),
        ((G2,), []),  # lint_keys and lint_platform tell of a single one
        ((G2, G3, NEW), []),
        ((X1, X2), ["HF106", "HF128"]),
        ((X1, G2), ["HF128"]),
        ((X1, X2, NEW), ["HF128"]),
        ((X1, X2, NEW, NEWER), []),
    ],
)
def test_what_hangs_on_one_ca(pins: tuple[Pin, ...], rules: list[str]) -> None:
    """One organization for all pins, or roots beside which new ones come that have no pin."""
    findings = findings_of(pins, ROOTS, lambda rule, *words: rule.finding("p", *words))

    assert rules == [finding.rule for finding in findings]


def test_the_roots_are_named() -> None:
    """Those that are pinned, and those that come."""
    (finding,) = findings_of((X1, G2), ROOTS, lambda rule, *words: rule.finding("p", *words))

    assert "CN=X1: Let's Encrypt has Root YE and Root YR enter the stores" == finding.reason


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"leaf": (), "backup": (), "ca": (G2, G3)}, ["HF106"]),
        ({"ca": (G2, G3), "require": Require.LEAF_AND_CA}, ["HF106"]),
        ({"ca": (G2, G3)}, []),
        ({}, []),
        (
            {"leaf": (), "backup": (), "ca": (G2, G3)} | PRIVATE,
            [],
        ),
    ],
)
def test_only_where_a_ca_has_to_match(
    make_set: Callable[..., PinSet], changes: dict[str, Any], rules: list[str]
) -> None:
    """An own key is a way past every CA; private CAs are the owner's."""
    findings = list(set_findings(make_set(**changes), ROOTS))

    assert rules == [finding.rule for finding in findings]
    assert {"pin_set.bank.ca"} >= {finding.place for finding in findings}


def test_told_gets_rule_reason_and_action() -> None:
    """In this order, as both callers take them."""
    told: list[tuple[Any, ...]] = []

    def remember(rule: Rule, reason: str, action: str) -> Any:  # noqa: ANN401 (any value does)
        told.append((rule.id, bool(reason), bool(action)))

    list(findings_of((G2, G3), ROOTS, remember))

    assert [("HF106", True, True)] == told
