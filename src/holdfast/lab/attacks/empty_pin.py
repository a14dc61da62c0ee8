"""The client is told to pin, and the pin is empty.

    leaf (attacker's key) <- Rogue root (trusted)
    in this run, after the control, `{pin}`, `{backup}` and `{cert_pin}` are empty, and so is the
    list of pins in `{policy}`

A client that does not pin sees what it sees in `rogue_ca`, and talks.

A pinning client must not start, or must refuse: a variable that was not set, or a file that was cut
off, is a mistake and never the wish not to pin. Not to connect at all is right here.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True
STANDS_FOR = ("urllib3, an empty assert_fingerprint",)


def misconfigure(stage: Stage) -> dict[str, str]:
    """Empty each pin."""
    policy = stage.policy_toml().replace(f'"{stage.pin}"', "").replace(f'"{stage.backup_pin}"', "")
    return {"pin": "", "backup": "", "cert_pin": "", "policy": policy}


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key."""
    return LabServer(stage.rogue.issue(stage.host))
