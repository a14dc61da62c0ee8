"""The parts of Android's `<domain-config>`, as its own parser and TrustKit's read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, Problem
from holdfast.formats.dictionaries import distinct, key_pin
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.xml_text import comments, elements, place_of
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin

if TYPE_CHECKING:
    from lxml import etree

__all__ = ["MARK", "ROOT", "hosts_in", "mark_of", "marks_of", "name_of", "pinned_in"]

ROOT = "network-security-config"
MARK = "holdfast: "  # how a comment begins that says which pin set something comes from


def hosts_in(
    config: etree._Element,
    seen: dict[str, etree._Element],
    problems: list[Problem],
    losses: list[Loss],
) -> Iterator[PlatformHost]:
    """Yield the hosts of a `<domain-config>`; each may stand once in a file."""
    for domain in elements(config, "domain"):
        text = (domain.text or "").strip().lower()
        place = place_of(domain)
        if text in seen:
            fix = f"keep it in one place, here or at {place_of(seen[text])}"
            problems.append(Problem(place, f"the domain {text} stands twice", fix))
            continue
        seen[text] = domain
        below = domain.get("includeSubdomains", "false")
        if below not in ("true", "false"):
            fix = "write true or false"
            problems.append(Problem(place, f'includeSubdomains is "{below}"', fix))
        try:
            yield PlatformHost(
                canonical_host(text), Kinds.ANY_DEPTH if below == "true" else Kinds.APEX
            )
        except HoldfastError as error:
            if "*" not in text:
                problems.append(Problem.of(place, error, "mend it"))
                continue
            losses.append(
                Loss(
                    kind=LossKind.UNREACHED_HOST,
                    effect=Effect.NEITHER,
                    place=place,
                    consequence=f"{text} is no wildcard on Android and matches no host; it is left "
                    "out",
                    stated=text,
                )
            )


def pinned_in(config: etree._Element, problems: list[Problem], losses: list[Loss]) -> Rule | None:
    """Return the pins of a `<domain-config>` itself, in a rule without hosts."""
    pin_sets = elements(config, "pin-set")
    if len(pin_sets) > 1:
        fix = "put all pins into one"
        problems.append(Problem(place_of(pin_sets[1]), "there are two <pin-set>", fix))
    if not pin_sets:
        return None
    expires = _expiration(pin_sets[0], problems)
    pins = distinct(_pins(pin_sets[0], problems), losses)
    return Rule(
        name="",
        hosts=(),
        anywhere=pins,
        expires=expires,
        exempt=not elements(pin_sets[0], "pin"),
        place=place_of(pin_sets[0]),
    )


def _pins(pin_set: etree._Element, problems: list[Problem]) -> Iterator[tuple[str, Pin]]:
    for element in elements(pin_set, "pin"):
        place = place_of(element)
        digest = element.get("digest")
        if digest != "SHA-256":
            fix = 'write digest="SHA-256"'
            problems.append(Problem(place, f"the digest is {digest}", fix))
            continue
        pin = key_pin((element.text or "").strip(), place, problems)
        if pin is not None:
            yield place, pin


def _expiration(pin_set: etree._Element, problems: list[Problem]) -> date | None:
    text = pin_set.get("expiration")
    if text is None:
        return None
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:  # other ISO forms are none to Android
            return day
    fix = "write it as 2027-01-31"
    problems.append(Problem(place_of(pin_set), f'expiration is "{text}"', fix))
    return None


def name_of(config: etree._Element, hosts: Sequence[PlatformHost]) -> str:
    """Return the name of the pin set that it came from, or one made of its first host."""
    return mark_of(config) or hosts[0].host.replace(".", "-").replace(":", "-")


def mark_of(config: etree._Element) -> str | None:
    """Return the name of the pin set that it came from, if it did."""
    return next((_marked(comment) for comment in marks_of(config)), None)


def marks_of(config: etree._Element) -> list[etree._Element]:
    """Return the comments that say so."""
    return [one for one in comments(config) if (one.text or "").strip().startswith(MARK)]


def _marked(comment: etree._Element) -> str:
    return (comment.text or "").strip().removeprefix(MARK)
