from collections.abc import Callable
from typing import Any

import pytest

from holdfast.formats.lint_keys import RULES, key_findings
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted

LEAF = (Pin.of_spki(b"leaf"),)
CERTIFICATE = (Pin.of_certificate(b"certificate"),)
OTHER_CERTIFICATE = (Pin.of_certificate(b"other certificate"),)
ONE_CA = (Pin.of_spki(b"ca"),)
TWO_CAS = (*ONE_CA, Pin.of_spki(b"other ca"))

# Rule, place within the set, fields that trigger it there, fields that are near and do not.
OF_ONE_SET: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "HF101",
        "single_pin",
        {"backup": (), "single_pin": ACCEPT_LOCK_OUT},
        {"single_pin": ACCEPT_LOCK_OUT},
    ),
    (
        "HF102",
        "single_pin",
        {"single_pin": ACCEPT_LOCK_OUT},
        {"backup": (), "single_pin": ACCEPT_LOCK_OUT},
    ),
    (
        "HF103",
        "backup",
        {"mode": Mode.REPORT_ONLY, "backup": ()},
        {"mode": Mode.REPORT_ONLY, "leaf": (), "backup": (), "ca": TWO_CAS},
    ),
    (
        "HF103",
        "backup",
        {"mode": Mode.REPORT_ONLY, "ca": ONE_CA, "require": Require.LEAF_AND_CA},
        {"mode": Mode.REPORT_ONLY, "ca": TWO_CAS, "require": Require.LEAF_AND_CA},
    ),
    ("HF104", "backup", {"backup": CERTIFICATE}, {"backup": (*CERTIFICATE, *ONE_CA)}),
    ("HF105", "leaf[1]", {"leaf": (*LEAF, *CERTIFICATE)}, {"backup": CERTIFICATE}),
    (
        "HF106",
        "ca",
        {"leaf": (), "backup": (), "ca": ONE_CA, "single_pin": ACCEPT_LOCK_OUT},
        {"ca": ONE_CA},
    ),
    (
        "HF106",
        "ca",
        {"ca": ONE_CA, "require": Require.LEAF_AND_CA, "single_pin": ACCEPT_LOCK_OUT},
        {"ca": TWO_CAS, "require": Require.LEAF_AND_CA},
    ),
    ("HF107", "ca", {"ca": ONE_CA}, {"leaf": (), "backup": (), "ca": TWO_CAS}),
    (
        "HF107",
        "ca",
        {"ca": TWO_CAS},
        {"ca": TWO_CAS, "trust": Trust.PRIVATE, "anchors": (b"anchor",)},
    ),
    (
        "HF108",
        "require",
        {"ca": TWO_CAS, "require": Require.LEAF_AND_CA},
        {"ca": TWO_CAS, "require": Require.LEAF_OR_CA},
    ),
]


def _findings(*pin_sets: PinSet, denied: tuple[Pin, ...] = ()) -> set[tuple[str, str]]:
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=pin_sets, denied=denied)
    return {(finding.rule, finding.place) for finding in key_findings(policy)}


@pytest.mark.parametrize(("rule", "key", "spoiled", "near"), OF_ONE_SET)
def test_rule_of_one_set(
    make_set: Callable[..., PinSet],
    rule: str,
    key: str,
    spoiled: dict[str, Any],
    near: dict[str, Any],
) -> None:
    """The rule is told at its place for the set that breaks it, and not for one that is near."""
    assert (rule, f"pin_set.bank.{key}") in _findings(make_set(**spoiled))
    assert rule not in dict(_findings(make_set(**near)))


def test_sound_set(make_set: Callable[..., PinSet]) -> None:
    """Nothing is said of a leaf key with a backup key."""
    assert set() == _findings(make_set())


@pytest.mark.parametrize("key", ["leaf", "backup", "ca"])
def test_denied_pin(make_set: Callable[..., PinSet], key: str) -> None:
    """HF109: a pin that is denied too is told wherever it stands; another one is not."""
    leaked = Pin.of_spki(b"leaked")
    pin_set = make_set(**{key: (leaked, Pin.of_spki(b"second"))})

    assert ("HF109", f"pin_set.bank.{key}[0]") in _findings(pin_set, denied=(leaked,))
    assert "HF109" not in dict(_findings(pin_set, denied=(Pin.of_spki(b"other"),)))


def test_denied_key_is_no_certificate(make_set: Callable[..., PinSet]) -> None:
    """HF109: a certificate pin whose digest happens to be denied as a key is another thing."""
    backup = (Pin.of_certificate(b"same bytes"), *LEAF)

    assert "HF109" not in dict(
        _findings(make_set(backup=backup), denied=(Pin.of_spki(b"same bytes"),))
    )


def test_shared_key(make_set: Callable[..., PinSet]) -> None:
    """HF110: a leaf or backup key that a second set has too is told there; a shared CA is not."""
    bank = make_set("bank.example", ca=TWO_CAS)
    shop = make_set("shop.example", name="shop", leaf=LEAF, ca=TWO_CAS)

    assert ("HF110", "pin_set.shop.backup[0]") in _findings(bank, shop)
    assert "HF110" not in dict(
        _findings(bank, make_set("shop.example", name="shop", leaf=LEAF, backup=(), ca=TWO_CAS))
    )


def test_shared_key_in_another_role(make_set: Callable[..., PinSet]) -> None:
    """HF110: one set's backup that is in use in another set is the same key."""
    bank = make_set("bank.example", leaf=LEAF)
    shop = make_set("shop.example", name="shop", leaf=bank.backup, backup=OTHER_CERTIFICATE)

    assert ("HF110", "pin_set.shop.leaf[0]") in _findings(bank, shop)


def test_every_rule_is_tried() -> None:
    """Each rule about keys has a test in this file."""
    tried = {rule for rule, *_ in OF_ONE_SET} | {"HF109", "HF110"}

    assert {rule.id for rule in RULES} == tried
