"""Programs that a covered process starts, and whether enforcement goes with them.

They are seen by an audit hook (PEP 578), which cannot be taken away again: only processes that were
started by `holdfast run` have one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.python_command import python_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["uncovered_reason", "watch_started_programs"]


def watch_started_programs(startup: str, tell: Callable[[str, str], object]) -> None:
    """Watch this process for the rest of its life.

    Args:
        startup: The entry of PYTHONPATH by which enforcement comes into a child.
        tell: Told the name of each program that it does not come into, and why.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        read = _EVENTS.get(event)
        if read is None:
            return
        try:
            command, environment = read(arguments)
            reason = uncovered_reason(command, environment, startup)
            if reason is not None:
                tell(os.path.basename(command[0]), reason)  # noqa: PTH119  may be no path
        except Exception:  # noqa: BLE001, S110  whatever a caller passes is for the call to refuse
            pass

    sys.addaudithook(hook)


def uncovered_reason(
    command: Sequence[str], environment: Mapping[str, str] | None, startup: str
) -> str | None:
    """Say why enforcement does not come into a program; None if it does.

    Args:
        command: The program and its arguments.
        environment: What it gets; None for this process's own.
        startup: The entry of PYTHONPATH that brings enforcement.
    """
    python = python_command(command)
    if python is None:
        return "it is no Python program"
    if python.ignores_environment is not None:
        return f"Python is started with {python.ignores_environment}, and ignores the environment"
    folders = (os.environ if environment is None else environment).get("PYTHONPATH", "")
    if startup not in folders.split(os.pathsep):
        return "it is started with another environment"
    return None


_Call = tuple["Sequence[str]", "Mapping[str, str] | None"]


def _popen(arguments: tuple[Any, ...]) -> _Call:
    executable, words, _, environment = arguments
    words = [words] if isinstance(words, str | bytes | os.PathLike) else list(words)
    return _texts([executable or words[0], *words[1:]]), _variables(environment)


def _exec(arguments: tuple[Any, ...]) -> _Call:
    program, words, environment = arguments
    return _texts([program, *list(words)[1:]]), _variables(environment)


def _spawn(arguments: tuple[Any, ...]) -> _Call:
    return _exec(arguments[1:])


def _system(arguments: tuple[Any, ...]) -> _Call:
    return ("sh", "-c", os.fsdecode(arguments[0])), None


_EVENTS: dict[str, Callable[[tuple[Any, ...]], _Call]] = {
    "subprocess.Popen": _popen,
    "os.exec": _exec,
    "os.posix_spawn": _exec,
    "os.spawn": _spawn,
    "os.system": _system,
}


def _texts(words: Sequence[Any]) -> list[str]:
    return [os.fsdecode(word) for word in words]


def _variables(environment: Any) -> Mapping[str, str] | None:
    if environment is None:
        return None
    return {os.fsdecode(name): os.fsdecode(value) for name, value in dict(environment).items()}
