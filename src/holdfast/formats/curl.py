"""curl's `--pinnedpubkey`, in a configuration file (`-K`) or on a command line.

curl looks at the leaf's key alone, and at no host: the file is for the requests that it is given
to, and after a redirect for the next host as well (measured with libcurl 7.88 to 8.23).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from holdfast.errors import PolicyError, Problem
from holdfast.formats.command_line import words_of
from holdfast.formats.dictionaries import pins_in
from holdfast.formats.loss import Loss
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Places, Rule, Semantics
from holdfast.formats.registry import Format, Reading

__all__ = ["COMMAND", "CONFIG"]

SEMANTICS = Semantics(title="curl", entries=(), places=Places.LEAF, hosts=False)
_OPTION = "pinnedpubkey"
_PREFIX = "sha256//"
# `option = "value"`, `option value`, `--option=value`: all are one to curl.
_LINE = re.compile(rf"^[ \t]*(?:--)?{_OPTION}(?=[:= \t])(?P<rest>.*)")


def scan_config(data: bytes) -> Reading:
    """Read a configuration file.

    Raises:
        PolicyError: The file has no pins, or is no text.
    """
    found = [
        (f"line {number}", _value(match["rest"]))
        for number, line in enumerate(text_of(data).splitlines(), 1)
        if (match := _LINE.match(line))
    ]
    return _reading([(place, value) for place, value in found if value])


def _value(rest: str) -> str:
    """Return what stands after the option, its one separator and the quotes."""
    rest = rest.strip()
    return (rest[1:].strip() if rest[:1] in (":", "=") else rest).strip('"')


def scan_command(data: bytes) -> Reading:
    """Read a command line.

    Raises:
        PolicyError: As for a configuration file; or the quotes do not match.
    """
    words = words_of(data)
    values = [
        (f"word {number}", words[number] if "=" not in word else word.partition("=")[2])
        for number, word in enumerate(words, 1)
        if word.partition("=")[0] == f"--{_OPTION}" and ("=" in word or number < len(words))
    ]
    return _reading(values)


def _reading(values: Sequence[tuple[str, str]]) -> Reading:
    if not values:
        fix = f"write --{_OPTION} {_PREFIX}..."
        raise PolicyError([Problem("", "there are no pins", fix)])
    place, value = values[-1]  # the last one counts
    problems: list[Problem] = []
    digests = []
    for text in value.split(";"):
        if not text.startswith(_PREFIX):
            fix = f"write {_PREFIX}..., which `holdfast key pin` prints of a key in a file"
            problems.append(Problem(place, "this is no pin but a file, or nothing", fix))
            continue
        digests.append(text.removeprefix(_PREFIX))
    losses: list[Loss] = []
    pins = pins_in(tuple(digests), place, problems, losses)
    rule = Rule(name="curl", hosts=(), leaf=pins, place=place)
    return Reading((rule,), tuple(losses), tuple(problems))


def write_config(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write the line of pins, in place of one that is there."""
    line = f'{_OPTION} = "{_pins(rules)}"' if rules else ""
    rows = [] if present is None else text_of(present).splitlines()
    kept = [row for row in rows if not _LINE.match(row)]
    place = next((number for number, row in enumerate(rows) if _LINE.match(row)), len(kept))
    kept[place:place] = [line] if line else []
    return ("\n".join(kept) + "\n").encode()


def write_command(rules: Sequence[Rule], _present: bytes | None) -> bytes:
    """Write the option as it stands on a command line."""
    return f"--{_OPTION} {shlex.quote(_pins(rules))}\n".encode() if rules else b""


def _pins(rules: Sequence[Rule]) -> str:
    return ";".join(str(pin).replace("sha256/", _PREFIX) for rule in rules for pin in rule.pins)


def _is_config(file_name: str, data: bytes) -> bool:
    return any(map(_LINE.match, data.decode("utf-8", "replace").splitlines())) and not _is_command(
        file_name, data
    )


def _is_command(_file_name: str, data: bytes) -> bool:
    return data.lstrip().startswith((b"curl ", f"--{_OPTION}".encode()))


CONFIG = Format(
    name="curl",
    semantics=SEMANTICS,
    recognizes=_is_config,
    scan=scan_config,
    write=write_config,
)
COMMAND = Format(
    name="curl-command",
    semantics=SEMANTICS,
    recognizes=_is_command,
    scan=scan_command,
    write=write_command,
)
