"""ghostunnel's `--verify-spki-pin` (a client's server) and `--allow-spki-pin` (a server's clients).

The pin of the leaf takes the place of the check of chain, name and dates.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import Problem
from holdfast.formats.command_line import words_of
from holdfast.formats.dictionaries import pins_in
from holdfast.formats.loss import Loss
from holdfast.formats.platform import Places, Rule, Semantics
from holdfast.formats.registry import Format, Reading

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="ghostunnel", entries=(), places=Places.LEAF, verifies=False, hosts=False
)
_OPTIONS = ("--verify-spki-pin", "--allow-spki-pin")
_PREFIX = "sha256:"


def scan(data: bytes) -> Reading:
    """Read the options of a command line.

    Raises:
        PolicyError: The quotes do not match, or it is no text.
    """
    words = words_of(data)
    problems: list[Problem] = []
    texts = []
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option not in _OPTIONS:
            continue
        text = value if equals else "".join(words[number + 1 : number + 2])
        if not text.lower().startswith(_PREFIX):
            fix = f"write {_PREFIX}... (SHA-384 and SHA-512 are not known here)"
            problems.append(Problem(f"word {number + 1}", "this is no SHA-256 pin", fix))
            continue
        texts.append(text[len(_PREFIX) :])
    losses: list[Loss] = []
    pins = pins_in(tuple(texts), _OPTIONS[0], problems, losses)
    if not texts and not problems:
        problems.append(Problem("", "there are no pins", f"write {_OPTIONS[0]} {_PREFIX}..."))
    rule = Rule(name="ghostunnel", hosts=(), leaf=pins, place=_OPTIONS[0])
    return Reading((rule,) if texts else (), tuple(losses), tuple(problems))


def write(rules: Sequence[Rule], _present: bytes | None) -> bytes:
    """Write the options as they stand on a command line."""
    pins = [str(pin).replace("sha256/", _PREFIX) for rule in rules for pin in rule.pins]
    return " ".join(f"{_OPTIONS[0]} {pin}" for pin in pins).encode() + b"\n"


def _is_ghostunnel(_file_name: str, data: bytes) -> bool:
    return b"-spki-pin" in data


FORMAT = Format(
    name="ghostunnel", semantics=SEMANTICS, recognizes=_is_ghostunnel, scan=scan, write=write
)
