"""The address in the URL is written as a number.

    https://2130706433/, which is 127.0.0.1, in this run, after the control
    leaf for 127.0.0.1 and the name 2130706433 (attacker's key) <- Rogue root (trusted)

A client that does not pin leaves it to the system what such a host is (inet_aton takes one to four
numbers of several bases), gets to the address, and finds the certificate good for it. It talks.

A pinning client, whose policy lists the address, must find the pins of the address, or refuse what
is neither a name nor an address in canonical text. Not to connect at all is right here. The policy
lets hosts without pins pass.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True


def policy(stage: Stage) -> str:
    """Let hosts that no pin set covers pass, as most applications have to."""
    return stage.policy_toml(unlisted="allow")


def host(_stage: Stage) -> str:
    """Return the address in its usual form, for the control."""
    return LOOPBACK


def spelling(_stage: Stage) -> str:
    """Return the address as one number."""
    return str(int(IPv4Address(LOOPBACK)))


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key under the address, in both forms."""
    return LabServer(stage.rogue.issue(LOOPBACK, spelling(stage)))
