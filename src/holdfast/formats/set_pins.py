"""The pins of one set, as far as a platform can say them. Pure.

Denied keys are left out: there they would be the opposite of denied.
"""

from __future__ import annotations

from holdfast.certificates.spki import spki_of
from holdfast.formats.loss import Effect, LossKind
from holdfast.formats.platform import Places, Rule
from holdfast.formats.set_translation import SetTranslation
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, Require, Trust

__all__ = ["pins_of"]


def pins_of(one: SetTranslation) -> Rule | None:
    """Return the pins in a rule without hosts, or None where too few can be said.

    Raises:
        CertificateError: An anchor of a private set is no certificate.
    """
    leaf, ca = _sayable(one, one.pin_set.leaf + one.pin_set.backup), _sayable(one, one.pin_set.ca)
    if one.pin_set.trust is Trust.PRIVATE and not one.pin_set.pins:
        ca = tuple(Pin.of_spki(spki_of(anchor)) for anchor in one.pin_set.anchors)
    rule = _placed(one, leaf, ca)
    needed = one.semantics.minimum if one.pin_set.mode is Mode.ENFORCE else 1
    if len(set(rule.pins)) >= needed:
        return rule
    one.lose(
        LossKind.NUMBER_OF_PINS,
        Effect.LETS_THROUGH,
        "",
        f"of its pins {one.title} can hold {len(set(rule.pins))}, and takes no "
        f"fewer than {one.semantics.minimum}: the hosts are not pinned",
    )
    return None


def _sayable(one: SetTranslation, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
    said = []
    for pin in pins:
        is_key = pin.algorithm is PinAlgorithm.SPKI
        if pin.digest in one.policy.denied_digests:
            continue
        if one.semantics.key_pins if is_key else one.semantics.certificate_pins:
            said.append(pin)
            continue
        kind = "key" if is_key else "whole-certificate"
        one.lose(
            LossKind.CERTIFICATE_PINS,
            Effect.REFUSES,
            "",
            f"{one.title} has no {kind} pins: what only {pin} matches is refused",
        )
    return tuple(said)


def _placed(one: SetTranslation, leaf: tuple[Pin, ...], ca: tuple[Pin, ...]) -> Rule:
    name = one.pin_set.name
    both_needed = one.pin_set.require is Require.LEAF_AND_CA
    match one.semantics.places:
        case Places.ANYWHERE:
            _lose_positions(one)
            _lose_both(one, both_needed=both_needed)
            return Rule(name=name, hosts=(), anywhere=tuple(dict.fromkeys(leaf + ca)))
        case Places.LEAF:
            if ca and not both_needed:
                one.lose(
                    LossKind.CA_PINS,
                    Effect.REFUSES,
                    "ca",
                    f"{one.title} looks at the leaf only: a leaf without a pin of "
                    "its own is refused",
                )
            _lose_both(one, both_needed=both_needed)
            return Rule(name=name, hosts=(), leaf=leaf)
    is_either = one.semantics.places is Places.EITHER_ROLE
    _lose_both(one, both_needed=both_needed and (is_either or not (leaf and ca)))
    if is_either:
        return Rule(name=name, hosts=(), leaf=leaf, ca=ca)
    if leaf and ca and not both_needed:
        one.lose(
            LossKind.CA_PINS,
            Effect.REFUSES,
            "ca",
            f"{one.title} asks for a leaf pin and a CA pin where there are both, "
            "so that only the leaf pins are said",
        )
        ca = ()
    return Rule(name=name, hosts=(), leaf=leaf, ca=ca)


def _lose_positions(one: SetTranslation) -> None:
    one.lose(
        LossKind.POSITION,
        Effect.NEITHER,
        "",
        f"{one.title} holds each pin against every certificate of the path; only "
        "who has a pinned key could use that",
    )


def _lose_both(one: SetTranslation, *, both_needed: bool) -> None:
    if both_needed:
        one.lose(
            LossKind.LEAF_AND_CA,
            Effect.LETS_THROUGH,
            "require",
            "one matching pin is enough, where the policy asks for one of each kind",
        )
