"""The client under attack: one process group for each run, killed as a whole when it is over.

It may be written in anything. What it is told stands in place-holders of its command line and in
variables of the same names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["ClientCommand", "Ending"]

_VARIABLE_PREFIX = "HOLDFAST_LAB_"
_TAIL = 4096  # bytes of the client's output that are looked at
# Where clients look for what they trust, beside the platform's store.
_TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
# What would lead them elsewhere.
_DROPPED = {"SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Ending(NamedTuple):
    """How one run of the client ended.

    Attributes:
        exit_code: As in `subprocess`, a signal being negative; None if it had to be killed.
        last_line: The end of what the client printed.
    """

    exit_code: int | None
    last_line: str


class ClientCommand:
    """The command that runs the client. Runs may go on side by side, and are stopped together."""

    def __init__(self, words: Sequence[str], *, timeout: float) -> None:
        """Check that there is such a command.

        Args:
            words: The client, with `{url}` and the other place-holders that are to be filled in.
            timeout: Seconds for one run of it.

        Raises:
            HoldfastError: There is no such command.
        """
        if not words:
            raise HoldfastError(
                "there is no command to run", hint="name the client: -- COMMAND [ARGUMENT]..."
            )
        if shutil.which(words[0]) is None:
            raise HoldfastError(
                f"command not found: {words[0]}",
                hint="give the path of a program that can be executed, or a name on $PATH",
            )
        self._words = tuple(words)
        self._timeout = timeout
        self._changing = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def takes(self, *names: str) -> bool:
        """Tell whether the command mentions a place-holder or its variable."""
        text = " ".join(self._words)
        mentions = [(f"{{{name}}}", f"{_VARIABLE_PREFIX}{name.upper()}") for name in names]
        return any(mention in text for pair in mentions for mention in pair)

    def run(
        self, values: Mapping[str, str], output: Path, variables: Mapping[str, str] = _NO_VARIABLES
    ) -> Ending:
        """Run the client to its end, or until time is up.

        Args:
            values: What the place-holders, and the variables of the same names, stand for.
                `anchors` is also what common TLS libraries are told to trust, and `proxy`, if it is
                there, the proxy that they are told to use.
            output: The file for what it prints.
            variables: Further variables, whatever else stands in them.

        Raises:
            OSError: The command cannot be started.
        """
        with output.open("wb") as printed:
            process = self._start(values, printed.fileno(), variables)
            if process is None:
                return Ending(None, "")
            try:
                exit_code: int | None = process.wait(self._timeout)
            except subprocess.TimeoutExpired:
                exit_code = None
            finally:
                _kill(process)
                process.wait()
                with self._changing:
                    self._running.discard(process)
        return Ending(exit_code, _last_line(output))

    def stop(self) -> None:
        """Kill what runs, and start nothing any more."""
        with self._changing:
            self._is_stopped = True
            for process in self._running:
                _kill(process)

    def _start(
        self, values: Mapping[str, str], output: int, variables: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        with self._changing:
            if self._is_stopped:
                return None
            process = subprocess.Popen(  # noqa: S603 (to run what the user names is the purpose)
                [_filled_in(word, values) for word in self._words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_environment(values), **variables},
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the group, also after a good end: the client may have left processes of its own."""
    # That there are none is an error of its own kind on each system.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(values: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name.upper() not in _DROPPED}
    named = {f"{_VARIABLE_PREFIX}{name.upper()}": text for name, text in values.items()}
    trust = dict.fromkeys(_TRUST_VARIABLES, values["anchors"])
    proxy = dict.fromkeys(_PROXY_VARIABLES, values["proxy"]) if "proxy" in values else {}
    return kept | named | trust | proxy


def _filled_in(word: str, values: Mapping[str, str]) -> str:
    """Fill in place-holders; other braces stay, because they are the client's."""
    for name, text in values.items():
        word = word.replace(f"{{{name}}}", text)
    return word


def _last_line(output: Path) -> str:
    lines = output.read_bytes()[-_TAIL:].decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
