"""Which Python a command line starts, and whether that one heeds its environment.

Enforcement comes into a child process through PYTHONPATH, which `-I`, `-E` and `-S` switch off.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PythonCommand", "python_command"]

_PYTHON = re.compile(r"(python|pypy)[0-9.]*(t|d|w)?(\.exe)?")
_FIRST_LINES = 1024  # bytes of a script that are looked at
_WITH_VALUE = "WX"
_STARTS_PROGRAM = "cm"
_LONG_WITH_VALUE = "--check-hash-based-pycs"
_IGNORING = "IES"


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """A Python with its options, without the program that it runs.

    Attributes:
        interpreter: The words that start it.
        options: Its options, as they were written.
    """

    interpreter: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def ignores_environment(self) -> str | None:
        """The option for which it does, or None."""
        for option in self.options:
            if option.startswith("-") and not option.startswith("--"):
                for letter in option[1:]:
                    if letter in _WITH_VALUE:
                        break
                    if letter in _IGNORING:
                        return f"-{letter}"
        return None


def python_command(command: Sequence[str], path: str | None = None) -> PythonCommand | None:
    """Return the Python that a command line starts; None where it starts something else.

    A script counts if its first line names a Python, also through `env`, or in the way in which
    installers write it when the path is long.

    Args:
        command: The words of the command line.
        path: Where programs are looked up, instead of $PATH.
    """
    if not command:
        return None
    if _is_python(command[0]):
        return PythonCommand((command[0],), _options(command[1:]))
    program = shutil.which(command[0], path=path)
    words = _first_line_of(Path(program)) if program else []
    if words and _is_python(words[0]):
        return PythonCommand((words[0],), _options(words[1:]))
    return None


def _is_python(word: str) -> bool:
    return _PYTHON.fullmatch(os.path.basename(word)) is not None  # noqa: PTH119  may be no path


def _options(words: Sequence[str]) -> tuple[str, ...]:
    """Return the interpreter's own options, which stand before the program."""
    options: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in {"-", "--"}:
            break
        if word.startswith("--"):
            options.append(word)
            if word == _LONG_WITH_VALUE:
                options.extend(value for value in [next(rest, None)] if value is not None)
            continue
        own, takes_value, is_last = _letters(word)
        if own:
            options.append(own)
        if takes_value:
            options.extend(value for value in [next(rest, None)] if value is not None)
        if is_last:
            break
    return tuple(options)


def _letters(word: str) -> tuple[str, bool, bool]:
    """Read options that stand together: what is left of them, whether a value and a program follow.

    `-Bc` is `-B` and a program; `-Wd` has its value with it, `-W` in the next word.
    """
    for position, letter in enumerate(word[1:], start=1):
        if letter in _STARTS_PROGRAM:
            return word[:position] if position > 1 else "", False, True
        if letter in _WITH_VALUE:
            return word, position == len(word) - 1, False
    return word, False, False


def _first_line_of(script: Path) -> list[str]:
    """Return the words of the interpreter that a script names, or nothing."""
    try:
        with script.open("rb") as file:
            first, _, rest = file.read(_FIRST_LINES).partition(b"\n")
    except OSError:
        return []
    if not first.startswith(b"#!"):
        return []
    try:
        words = first[2:].decode().split()
        second = shlex.split(rest.partition(b"\n")[0].decode()) if words[:1] == ["/bin/sh"] else []
    except (UnicodeDecodeError, ValueError):
        return []
    if second[:1] == ["exec"]:  # '''exec' PYTHON "$0" "$@": both shell and Python
        return [word for word in second[1:] if not word.startswith("$")]
    if words and os.path.basename(words[0]) == "env":  # noqa: PTH119  as above
        return [word for word in words[1:] if "=" not in word and word != "-S"]
    return words
