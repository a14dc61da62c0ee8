"""The header `Public-Key-Pins` (RFC 7469): import only, since no browser reads it any more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.errors import Problem
from holdfast.formats.dictionaries import distinct, key_pin
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin, quoted

__all__ = ["FORMAT"]

SEMANTICS = Semantics(title="HPKP", entries=(), report_only=True, hosts=False, minimum=2)
_HEADER = re.compile(
    r"^[ \t]*public-key-pins(?P<only>-report-only)?[ \t]*:(?P<value>.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_PART = re.compile(r"""(?:[^;"]|"[^"]*"|")++""")  # a semicolon in quotes divides nothing
_DIRECTIVE = re.compile(
    r"""\s*(?P<name>[\w-]+)\s*(?:=\s*(?:"(?P<quoted>[^"]*)"|(?P<token>[^"\s]*))\s*)?"""
)


def scan(data: bytes) -> Reading:
    """Read the headers of an answer.

    Raises:
        PolicyError: The file is no text.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    rules = []
    found = list(_HEADER.finditer(text_of(data)))
    for header in found:
        pins: list[tuple[str, Pin]] = []
        is_over = False
        for name, value in _directives(header["value"], problems):
            if name == "pin-sha256":
                pin = key_pin(value, name, problems)
                if pin is not None:
                    pins.append((name, pin))
            else:
                is_over = is_over or (name == "max-age" and value == "0")
                losses.append(_of(name, value))
        if is_over:  # RFC 7469 section 2.3.1: the host asks to be forgotten
            continue
        rules.append(
            Rule(
                name="reported" if header["only"] else "enforced",
                hosts=(),
                anywhere=distinct(pins, losses),
                enforced=not header["only"],
                place=header[0].partition(":")[0].strip(),
            )
        )
    if not found:
        problems.append(Problem("", "there is no Public-Key-Pins header", "is it the right file?"))
    return Reading(tuple(rules), tuple(dict.fromkeys(losses)), tuple(problems))


def _directives(header: str, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    for part in _PART.finditer(header):
        directive = _DIRECTIVE.fullmatch(part[0])
        if directive is not None:
            yield directive["name"].lower(), directive["quoted"] or directive["token"] or ""
        elif part[0].strip():
            message, fix = f"{quoted(part[0])} is no directive", "divide them by semicolons"
            problems.append(Problem("Public-Key-Pins", message, fix))


def _of(directive: str, value: str) -> Loss:
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
        "report-uri": (LossKind.REPORTS, Effect.NEITHER, "reports go to other addresses"),
    }
    kind, effect, consequence = consequences.get(
        directive, (LossKind.SETTING, Effect.NEITHER, "a browser passes over what it does not know")
    )
    stated = value if kind is LossKind.REPORTS else None
    return Loss(kind=kind, effect=effect, place=directive, consequence=consequence, stated=stated)


def _is_header(_file_name: str, data: bytes) -> bool:
    return b"pin-sha256" in data


FORMAT = Format(name="hpkp", semantics=SEMANTICS, recognizes=_is_header, scan=scan, write=None)
