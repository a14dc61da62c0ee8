"""Rogue servers for a client that nobody can start from here: a phone, a device on the bench.

They stand behind one fixed address and port, one at a time. What a device needs to know lies in a
folder: what it is to trust, the policy, a client's certificate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.lab.judgment import Outcome, Result, Run, judge, judge_control
from holdfast.lab.stage import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.lab.attack import Attack
    from holdfast.lab.relay import Relay
    from holdfast.lab.server import LabServer
    from holdfast.lab.stage import Stage

__all__ = ["Bench"]

_NOBODY_CAME = "nobody came"


class Bench:
    """Serves attacks one after the other."""

    def __init__(self, stage: Stage, relay: Relay, folder: Path) -> None:
        """Write what devices need to know.

        Args:
            stage: The keys and certificates.
            relay: What devices connect to, listening.
            folder: Where to write files.

        Raises:
            OSError: The folder cannot be written to.
        """
        self._stage = stage
        self._relay = relay
        self._folder = folder
        (folder / "anchors.pem").write_text(stage.anchors_pem, "ascii")
        client = folder / "client.pem"
        client.touch(0o600)
        client.write_text(stage.client.key_pem + stage.client.chain_pem, "ascii")
        self._publish(stage.policy_toml())

    def url(self, attack: Attack, *, attacked: bool = False) -> str:
        """Return what the device has to open: in the control, or when it is attacked."""
        slash = "/" * (attack.transport == "https")
        host = attack.host(self._stage)
        if attacked and attack.spelling:
            host = attack.spelling(self._stage)
        return f"{attack.transport}://{host}:{self._relay.port}{slash}"

    def why_not(self, attack: Attack) -> str | None:
        """Tell why an attack cannot be made on a device."""
        if attack.proxy or attack.environment:
            return "the device has its proxy and its variables"
        if "anchors" in attack.told(attack.setting(self._stage)):
            return "what the device trusts is not ours to change"
        return None

    def control(self, attack: Attack, wait: Callable[[], object]) -> Result | None:
        """Serve the honest server of an attack for as long as `wait` takes.

        Returns:
            None if a client accepted it.
        """
        seen = self._serve(attack, attack.honest, wait)
        if not seen.connections:
            return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=_NOBODY_CAME)
        return judge_control(attack, seen)

    def attack(self, attack: Attack, wait: Callable[[], object]) -> Result:
        """Serve the attacker for as long as `wait` takes, and judge who came."""
        told = attack.told(attack.setting(self._stage))
        seen = self._serve(attack, attack.rogue, wait, told.get("policy"))
        if not seen.connections:
            return Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=_NOBODY_CAME)
        return judge(attack, seen)

    def _serve(
        self,
        attack: Attack,
        make: Callable[[Stage], LabServer],
        wait: Callable[[], object],
        policy: str | None = None,
    ) -> Run:
        stage = attack.setting(self._stage)
        self._publish(policy or attack.policy_toml(stage))
        with make(replace(stage, publish=self._publish)) as server:
            self._relay.target = LOOPBACK, server.port
            try:
                wait()
            finally:
                self._relay.target = None
        # Whether the device's program is still well is not ours to see.
        return Run(exit_code=0, last_line="", connections=server.connections)

    def _publish(self, policy: str) -> None:
        (self._folder / "pins.toml").write_text(policy, "ascii")
