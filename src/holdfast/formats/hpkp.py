"""The header `Public-Key-Pins` (RFC 7469): import only, since no browser reads it any more."""

from __future__ import annotations

import re

from holdfast.errors import PinFormatError, PolicyError, Problem
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin

__all__ = ["FORMAT"]

SEMANTICS = Semantics(title="HPKP", entries=(), report_only=True, hosts=False, minimum=2)
_HEADER = re.compile(
    r"^\s*public-key-pins(?P<only>-report-only)?\s*:(?P<value>.*)$", re.IGNORECASE | re.MULTILINE
)
_DIRECTIVE = re.compile(
    r"""\s*(?P<name>[\w-]+)\s*(?:=\s*(?:"(?P<quoted>[^"]*)"|(?P<token>[^;\s]*)))?\s*(?:;|$)"""
)


def read(data: bytes) -> Reading:
    """Read the headers of an answer.

    Raises:
        PolicyError: It has no such header, or a pin that is none.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    rules = []
    found = list(_HEADER.finditer(text_of(data)))
    for header in found:
        pins: list[Pin] = []
        is_over = False
        for directive in _DIRECTIVE.finditer(header["value"]):
            name = directive["name"].lower()
            value = directive["quoted"] or directive["token"] or ""
            if name == "pin-sha256":
                try:
                    pins.append(Pin.parse(f"sha256/{value}"))
                except PinFormatError as error:
                    fix = error.hint or "take the pin again"
                    problems.append(Problem("pin-sha256", error.message, fix))
            else:
                is_over = is_over or (name == "max-age" and value == "0")
                losses += _of(name)
        if is_over:  # RFC 7469 section 2.3.1: the host asks to be forgotten
            continue
        name = "reported" if header["only"] else "enforced"
        rules.append(
            Rule(
                name=name,
                hosts=(),
                anywhere=tuple(dict.fromkeys(pins)),
                enforced=not header["only"],
            )
        )
    if not found:
        problems.append(Problem("", "there is no Public-Key-Pins header", "is it the right file?"))
    if problems:
        raise PolicyError(problems)
    return Reading(tuple(rules), tuple(dict.fromkeys(losses)))


def _of(directive: str) -> list[Loss]:
    consequences = {
        "includesubdomains": (
            LossKind.SUBDOMAINS,
            Effect.LETS_THROUGH,
            "subdomains are covered if the pattern says so: --host **.HOST",
        ),
        "max-age": (
            LossKind.EXPIRY,
            Effect.REFUSES,
            "a browser forgot the pins after this time; the policy keeps them",
        ),
        "report-uri": (LossKind.SETTING, Effect.NEITHER, "reports go to other addresses"),
    }
    kind, effect, consequence = consequences.get(
        directive, (LossKind.SETTING, Effect.NEITHER, "a browser passes over what it does not know")
    )
    return [Loss(kind=kind, effect=effect, place=directive, consequence=consequence)]


def _is_header(_file_name: str, data: bytes) -> bool:
    return b"pin-sha256" in data


FORMAT = Format(name="hpkp", semantics=SEMANTICS, recognizes=_is_header, read=read, write=None)
