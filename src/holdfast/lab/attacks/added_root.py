"""The trust store has got one more root.

    leaf (attacker's key) <- Inspection root
    in this run, after the control, that root is in `{anchors}` as well

A client that does not pin sees a certificate for the right name from a CA in its trust store, to
which somebody has added it: a company, a school, or whoever else got at the machine. It talks.

A pinning client must refuse. Browsers did not, as long as they had pins: a root that was added on
the machine overruled them, so that inspection went on working, and so did whoever had added one.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.CHAIN
FOOLS_PLAIN = True


def misconfigure(stage: Stage) -> dict[str, str]:
    """Trust the inspection as well."""
    return {"anchors": stage.anchors_pem + _inspection(stage).pem}


def rogue(stage: Stage) -> LabServer:
    """Show what the inspection makes for the name."""
    return LabServer(_inspection(stage).issue(stage.host))


def _inspection(stage: Stage) -> Authority:
    """Return the same root for a stage each time: one with the key of the rogue root."""
    return Authority.new("Inspection root", key=stage.rogue.key)
