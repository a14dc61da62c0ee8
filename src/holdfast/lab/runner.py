"""Runs a client against honest and attacking servers, several attacks side by side.

Each attack takes two runs: first the control, an honest server of the same shape, which has to be
accepted; then the attacker. Attacks that have the same control share one run of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import HoldfastError
from holdfast.lab.client_process import ClientCommand
from holdfast.lab.judgment import Outcome, Result, Run, judge, judge_control
from holdfast.lab.stage import LOOPBACK, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from holdfast.lab.attack import Attack, Transport
    from holdfast.lab.connection_log import Connection
    from holdfast.lab.server import LabServer

__all__ = ["DEFAULT_JOBS", "DEFAULT_TIMEOUT", "Runner"]

DEFAULT_TIMEOUT = 10.0  # seconds for one run of the client
DEFAULT_JOBS = 2

_SETTLING = 1.0  # seconds for the server's log to be finished after the client has ended


class Runner:
    """Runs one client against attacks. A context manager: its files are gone afterwards."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transports: Sequence[Transport] = ("https",),
        anchors_pem: str = "",
        stage: Stage | None = None,
    ) -> None:
        """Make the keys and certificates of this run.

        Args:
            command: The client, with `{url}` and the other place-holders that are to be filled in.
            timeout: Seconds for one run of it.
            transports: What the client speaks.
            anchors_pem: What the client is to trust beside the authorities of the stage.
            stage: Keys and certificates to use instead of new ones.

        Raises:
            HoldfastError: There is no such command.
        """
        self._command = ClientCommand(command, timeout=timeout)
        self._transports = transports
        self._anchors_pem = anchors_pem
        self._stage = stage or Stage.new()
        self._controls: dict[object, Future[Run]] = {}
        self._choosing_control = threading.Lock()

    def __enter__(self) -> Self:
        """Write what the client reads, for nobody else to see."""
        self._files = tempfile.TemporaryDirectory(prefix="holdfast-lab-")
        self._folder = Path(self._files.name)
        self._anchors.write_text(self._trusted_pem + self._anchors_pem, "ascii")
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

    def run_all(
        self,
        attacks: Sequence[Attack],
        advance: Callable[[], None] = lambda: None,
        *,
        jobs: int = DEFAULT_JOBS,
    ) -> tuple[Result, ...]:
        """Run attacks side by side; results come in the order of the attacks.

        Whatever ends this early, no client is left running.

        Args:
            attacks: Which.
            advance: Called when one is done.
            jobs: How many at a time.

        Raises:
            OSError: The command cannot be started.
        """

        def run(attack: Attack) -> Result:
            result = self.run(attack)
            advance()
            return result

        with ThreadPoolExecutor(jobs) as workers:
            try:
                return tuple(workers.map(run, attacks))
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                self._command.stop()
                raise

    def run(self, attack: Attack) -> Result:
        """Run the control and then, if the client passes it, the attack.

        Raises:
            OSError: The command cannot be started.
        """
        if reason := self._why_not(attack):
            return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=reason)
        return self._judged_control(attack) or self._judged_attack(attack)

    def policy_sha256(self, attack: Attack) -> str:
        """Return the digest of the policy that the client is given at first, in hexadecimal."""
        policy = attack.policy_toml(attack.setting(self._stage))
        return hashlib.sha256(policy.encode("ascii")).hexdigest()

    def _why_not(self, attack: Attack) -> str | None:
        if attack.transport not in self._transports:
            return f"needs --transport {attack.transport}"
        written = attack.host(self._stage), attack.told(self._stage).get("host")
        for host in filter(None, written):
            if not _leads_here(host):
                return (
                    f"the name {host} does not lead to {LOOPBACK} here: a line in /etc/hosts helps"
                )
        takes = self._command.takes
        if attack.denied and not takes("policy") and takes("pin", "backup"):
            return "the command takes pins and no policy, so it knows no denied keys"
        return None

    def _judged_control(self, attack: Attack) -> Result | None:
        policy = attack.policy_toml(attack.setting(self._stage))
        same = attack.control, attack.host(self._stage), policy
        with self._choosing_control:
            is_first = same not in self._controls
            control = self._controls.setdefault(same, Future())
        if is_first:
            try:
                control.set_result(self._run_against(attack.honest, attack, "control"))
            except BaseException as error:
                control.set_exception(error)
                raise
        return judge_control(attack, control.result())

    def _judged_attack(self, attack: Attack) -> Result:
        try:
            told = attack.told(attack.setting(self._stage))
            return judge(attack, self._run_against(attack.rogue, attack, "attack", told))
        except HoldfastError as error:
            return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=str(error))

    def _run_against(
        self,
        make: Callable[[Stage], LabServer],
        attack: Attack,
        part: str,
        told: dict[str, str] | None = None,
    ) -> Run:
        told = told or {}
        stage = attack.setting(self._stage)
        folder = self._folder / f"{attack.id}-{part}"
        folder.mkdir()
        found = folder / "found"
        policy = folder / "pins.toml"

        def publish(text: str) -> None:
            new = policy.with_suffix(".new")
            new.write_text(text, "ascii")
            new.replace(policy)  # clients never see half of it

        publish(told.get("policy", attack.policy_toml(stage)))
        files = {"policy": str(policy)}
        if "anchors" in told:
            anchors = folder / "anchors.pem"
            anchors.write_text(told["anchors"], "ascii")
            files["anchors"] = str(anchors)
        variables: dict[str, str] = {}
        if attack.environment:
            found.mkdir()
            variables = attack.environment(found)
        with make(replace(stage, publish=publish)) as server:
            with self._way_to(server):
                host = told.get("host", attack.host(stage))
                values = self._values(attack, stage, server, host) | told | files
                ending = self._command.run(values, folder / "output", variables)
            with contextlib.suppress(TimeoutError):  # the log as it stands is evidence too
                server.wait_until(
                    lambda seen: bool(seen) and all(one.closed for one in seen), _SETTLING
                )
            return Run(
                **ending._asdict(),
                connections=self._connections(server),
                in_effect=attack.in_effect is None or attack.in_effect(found),
                loot=attack.loot(found) if attack.loot else b"",
            )

    def _way_to(self, server: LabServer) -> contextlib.AbstractContextManager[object]:
        """Lead clients to the server while this is entered. They come by themselves here."""
        return contextlib.nullcontext(server)

    def _connections(self, server: LabServer) -> tuple[Connection, ...]:
        """Return the evidence."""
        return server.connections

    def _values(self, attack: Attack, stage: Stage, server: LabServer, host: str) -> dict[str, str]:
        """Return what the place-holders, and the variables of the same names, stand for."""
        slash = "/" * (attack.transport == "https")
        proxy = {"proxy": f"{attack.proxy}://{stage.host}:{server.port}"} if attack.proxy else {}
        return proxy | {
            "url": f"{attack.transport}://{host}:{server.port}{slash}",
            "host": host,
            "port": str(server.port),
            "anchors": str(self._anchors),
            "pin": stage.pin,
            "backup": stage.backup_pin,
            "cert_pin": stage.server.cert_pin,
            "client_certificate": str(self._client_certificate),
        }

    @property
    def _trusted_pem(self) -> str:
        return self._stage.anchors_pem

    @property
    def _anchors(self) -> Path:
        return self._folder / "anchors.pem"

    @property
    def _client_certificate(self) -> Path:
        return self._folder / "client.pem"


def _leads_here(host: str) -> bool:
    """Tell whether clients that look a name up come to the lab, and nowhere else."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET)
    except OSError:
        return False
    return {LOOPBACK} == {address[0] for *_, address in found}
