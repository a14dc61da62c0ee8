"""Runs a client, which may be written in anything, against honest and attacking servers.

Each attack takes two runs: first the control, an honest server of the same shape, which has to be
accepted; then the attacker. Every run has a process group of its own, which is killed as a whole
when it is over, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import HoldfastError
from holdfast.lab.attack import LOOPBACK, Stage
from holdfast.lab.judgment import Outcome, Result, Run, judge, judge_control

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from holdfast.lab.attack import Attack, Transport
    from holdfast.lab.server import LabServer

__all__ = ["DEFAULT_TIMEOUT", "Runner"]

DEFAULT_TIMEOUT = 10.0  # seconds for one run of the client

_VARIABLE_PREFIX = "HOLDFAST_LAB_"
_SETTLING = 1.0  # seconds for the server's log to be finished after the client has ended
_TAIL = 4096  # bytes of the client's output that are looked at
# Where clients look for what they trust, beside the platform's store.
_TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
# What would lead them elsewhere.
_DROPPED = {"SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


class Runner:
    """Runs one client against attacks. A context manager: its files are gone afterwards."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transports: Sequence[Transport] = ("https",),
    ) -> None:
        """Make the keys and certificates of this run.

        Args:
            command: The client, with `{url}` and the other place-holders that are to be filled in.
            timeout: Seconds for one run of it.
            transports: What the client speaks.

        Raises:
            HoldfastError: There is no such command.
        """
        if not command:
            raise HoldfastError(
                "there is no command to run", hint="name the client: -- COMMAND [ARGUMENT]..."
            )
        if shutil.which(command[0]) is None:
            raise HoldfastError(
                f"command not found: {command[0]}",
                hint="give the path of a program that can be executed, or a name on $PATH",
            )
        self._command = tuple(command)
        self._timeout = timeout
        self._transports = transports
        self._stage = Stage.new()

    def __enter__(self) -> Self:
        """Write what the client reads, for nobody else to see."""
        self._files = tempfile.TemporaryDirectory(prefix="holdfast-lab-")
        self._folder = Path(self._files.name)
        self._anchors.write_text(self._stage.anchors_pem, "ascii")
        client = self._stage.client
        self._client_certificate.write_text(client.key_pem + client.chain_pem, "ascii")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the files."""
        self._files.cleanup()

    def run(self, attack: Attack) -> Result:
        """Run the control and then, if the client passes it, the attack.

        Raises:
            OSError: The command cannot be started.
        """
        if reason := self._why_not(attack):
            return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=reason)
        self._policy.write_text(attack.policy_toml(self._stage), "ascii")
        failure = judge_control(attack, self._run_against(attack.honest(self._stage), attack))
        return failure or judge(attack, self._run_against(attack.rogue(self._stage), attack))

    def _why_not(self, attack: Attack) -> str | None:
        if attack.transport not in self._transports:
            return f"needs --transport {attack.transport}"
        host = attack.host(self._stage)
        if not _leads_here(host):
            return f"the name {host} does not lead to {LOOPBACK} here: a line in /etc/hosts helps"
        if attack.denied and not self._takes("policy") and self._takes("pin", "backup"):
            return "the command takes pins and no policy, so it knows no denied keys"
        return None

    def _takes(self, *names: str) -> bool:
        """Tell whether the command mentions a place-holder or its variable."""
        text = " ".join(self._command)
        mentions = [(f"{{{name}}}", f"{_VARIABLE_PREFIX}{name.upper()}") for name in names]
        return any(mention in text for pair in mentions for mention in pair)

    def _run_against(self, server: LabServer, attack: Attack) -> Run:
        with server:
            values = self._values(attack, server.port)
            exit_code = self._execute(values)
            with contextlib.suppress(TimeoutError):  # the log as it stands is evidence too
                server.wait_until(
                    lambda seen: bool(seen) and all(one.closed for one in seen), _SETTLING
                )
            return Run(
                exit_code=exit_code,
                last_line=_last_line(self._output),
                connections=server.connections,
            )

    def _values(self, attack: Attack, port: int) -> dict[str, str]:
        """Return what the place-holders, and the variables of the same names, stand for."""
        host = attack.host(self._stage)
        return {
            "url": f"{attack.transport}://{host}:{port}{'/' * (attack.transport == 'https')}",
            "host": host,
            "port": str(port),
            "anchors": str(self._anchors),
            "pin": self._stage.pin,
            "backup": self._stage.backup_pin,
            "cert_pin": self._stage.server.cert_pin,
            "policy": str(self._policy),
            "client_certificate": str(self._client_certificate),
        }

    def _execute(self, values: Mapping[str, str]) -> int | None:
        """Run the client to its end, and return its exit code; None if time was up."""
        with self._output.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 (to run what the user names is the purpose)
                [_filled_in(word, values) for word in self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(values),
                start_new_session=True,
            )
            try:
                return process.wait(self._timeout)
            except subprocess.TimeoutExpired:
                return None
            finally:
                # Also after a good end: the client may have left processes of its own. That there
                # are none is an error of its own kind on each system.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _environment(self, values: Mapping[str, str]) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if name.upper() not in _DROPPED}
        named = {f"{_VARIABLE_PREFIX}{name.upper()}": text for name, text in values.items()}
        return kept | named | dict.fromkeys(_TRUST_VARIABLES, str(self._anchors))

    @property
    def _anchors(self) -> Path:
        return self._folder / "anchors.pem"

    @property
    def _policy(self) -> Path:
        return self._folder / "pins.toml"

    @property
    def _client_certificate(self) -> Path:
        return self._folder / "client.pem"

    @property
    def _output(self) -> Path:
        return self._folder / "output"


def _leads_here(host: str) -> bool:
    """Tell whether clients that look a name up come to the lab, and nowhere else."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET)
    except OSError:
        return False
    return {LOOPBACK} == {address[0] for *_, address in found}


def _filled_in(word: str, values: Mapping[str, str]) -> str:
    """Fill in place-holders; other braces stay, because they are the client's."""
    for name, text in values.items():
        word = word.replace(f"{{{name}}}", text)
    return word


def _last_line(output: Path) -> str:
    lines = output.read_bytes()[-_TAIL:].decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
