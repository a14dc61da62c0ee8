"""A connection is older than the denial of its key and is still open.

    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    the policy changes, while the client runs: this key is denied, another one is pinned
    the next request, on the same connection

A client that does not pin goes on with the connection that it has.

A pinning client that follows its policy must refuse from then on, on new connections and on those
that it kept: no handshake comes any more in which a check could run. It has two seconds to notice
the change, and is sent on twice; only the last request counts. In the control it has to connect
anew, and the policy changes to name another key, which the server then shows.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.resumption import key_denied_meanwhile, key_replaced_meanwhile
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.SESSION
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2022-21654",)
HOLDS = ("the server's key",)
FOLLOWS = True
MAY_DECLINE = "the client does not follow a change of its policy, or does not follow redirects"


def rogue(stage: Stage) -> LabServer:
    """Go on with the key after it was denied."""
    return key_denied_meanwhile(stage, hangs_up=False)


def honest(stage: Stage) -> LabServer:
    """Go over to a key that the policy has pinned meanwhile."""
    return key_replaced_meanwhile(stage)
