"""The host name in the URL is written with a letter that another letter is made of.

    https://localho\u017ft/, with LATIN SMALL LETTER LONG S, in this run, after the control
    leaf for localhost (attacker's key) <- Rogue root (trusted)

A client that does not pin, and takes such names, as browsers and curl do, maps the name as IDNA
does (UTS #46: the long s becomes an s, as the Kelvin sign becomes a k), looks it up, finds the
certificate good for it, and talks.

A pinning client must look for its pins under the mapped name, or refuse what is no plain name: who
looks them up under the name as it is written finds none, and the name that is connected to has
some. Not to connect at all is right here. The policy lets hosts without pins pass.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.NAME
FOOLS_PLAIN = True
STANDS_FOR = ("OkHttp, host names with the Kelvin sign",)


def policy(stage: Stage) -> str:
    """Let hosts that no pin set covers pass, as most applications have to."""
    return stage.policy_toml(unlisted="allow")


def spelling(stage: Stage) -> str:
    """Write the last "s" of the name in the old way."""
    before, _, after = stage.host.rpartition("s")
    return f"{before}\u017f{after}" if before or after else stage.host


def rogue(stage: Stage) -> LabServer:
    """Show the attacker's key under the name as it is usually written."""
    return LabServer(stage.rogue.issue(stage.host))
