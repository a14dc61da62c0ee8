"""Pins in source code, where a builder takes them: `.add("host", "sha256/...", ...)`.

Only string literals are read; what is put together at run time is told, and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from holdfast.errors import HoldfastError, Problem
from holdfast.formats.dictionaries import distinct, key_pin
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.pins.host_pattern import HostPattern, Reach
from holdfast.pins.pin import quoted

__all__ = ["Addition", "additions_in", "rule_of", "without_comments"]

_PREFIX = "sha256/"
_ADD = re.compile(r"\.add\(")
_TOKEN = re.compile(
    r"""
    (?P<text>"(?:[^"\\\n]|\\.)*+")               # a string literal
    | (?P<broken>"(?:[^"\\\n]|\\.)*+)            # one without an end; not looked at again
    | (?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))     # a comment
    | (?P<space>\s+)
    | (?P<comma>,)
    | (?P<end>\))
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST_CALL = 100_000  # characters
_KINDS = {
    Reach.EXACT: Kinds.APEX,
    Reach.ONE_LABEL: Kinds.ONE_BELOW,
    Reach.ANY_DEPTH: Kinds.ANY_DEPTH,
}


class Addition(NamedTuple):
    """One call.

    Attributes:
        line: Where it begins, from 1.
        texts: Its string literals.
        plain: Whether it has nothing else.
    """

    line: int
    texts: tuple[str, ...]
    plain: bool


def additions_in(text: str, opening: re.Pattern[str] = _ADD) -> Iterator[Addition]:
    """Yield the calls of `.add(...)` that have string literals, outside of comments.

    Args:
        text: The source code.
        opening: How another call begins, up to its bracket; a group `first` is its first text.
    """
    masked = without_comments(text)
    line, counted, end = 1, 0, 0
    for call in opening.finditer(masked):
        if call.start() < end:  # within the arguments of another
            continue
        texts, plain, end = _arguments(masked, call.end())
        first = call.groupdict().get("first")
        texts = texts if first is None else (first, *texts)
        line += masked.count("\n", counted, call.start())
        counted = call.start()
        if texts:
            yield Addition(line, texts, plain)


def rule_of(addition: Addition, problems: list[Problem], losses: list[Loss]) -> Rule | None:
    """Read a call: a pattern, then pins.

    Args:
        addition: The call.
        problems: Gets what the platform would refuse.
        losses: Gets what cannot be known.
    """
    place = f"line {addition.line}"
    if not addition.plain:
        losses.append(
            Loss(
                kind=LossKind.HOSTS,
                effect=Effect.LETS_THROUGH,
                place=place,
                consequence="an argument is put together at run time: what it stands for is not "
                "imported",
            )
        )
    pattern, *texts = addition.texts
    try:
        host = HostPattern.parse(pattern)
    except HoldfastError as error:
        problems.append(Problem.of(place, error, "mend it"))
        return None
    pins = []
    for text in texts:
        if not text.startswith(_PREFIX):
            fix = f"write it as {_PREFIX}..."
            problems.append(Problem(place, f"{quoted(text)} is not a pin", fix))
            continue
        pin = key_pin(text.removeprefix(_PREFIX), place, problems)
        if pin is not None:
            pins.append((place, pin))
    name = host.host.replace(".", "-").replace(":", "-")
    hosts = (PlatformHost(host.host, _KINDS[host.reach]),)
    return Rule(name=name, hosts=hosts, anywhere=distinct(pins, losses), place=place)


def _arguments(text: str, start: int) -> tuple[tuple[str, ...], bool, int]:
    """Return the string literals of a call, whether it has nothing else, and where it ends."""
    texts: list[str] = []
    plain = True
    for token in _TOKEN.finditer(text, start, start + _LONGEST_CALL):
        if token["end"]:
            return tuple(texts), plain, token.end()
        if token["text"]:
            texts.append(token["text"][1:-1])
            plain = plain and "$" not in token["text"] and "\\" not in token["text"]
        elif token["other"] or token["broken"]:
            plain = False
    return tuple(texts), False, start + _LONGEST_CALL


def without_comments(text: str) -> str:
    """Replace comments by as much white space, so that places stay."""

    def blank(token: re.Match[str]) -> str:
        if not token["comment"]:
            return token[0]
        return re.sub(r"[^\n]", " ", token["comment"])

    return _TOKEN.sub(blank, text)
