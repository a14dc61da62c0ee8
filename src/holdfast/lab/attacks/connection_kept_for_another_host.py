"""A connection to the attacker's own host is used for the pinned host.

    https://127.0.0.1/   leaf for 127.0.0.1 and localhost (attacker's key) <- Rogue root (pinned for
                         this host, trusted)
    -> 307 https://localhost/, same address and port, and the connection stays open

A client that does not pin talks to both, on this connection or on another one: the certificate is
good for both names, and HTTP/2 allows to go on then (RFC 9113 section 9.1.1).

A pinning client must not take a connection whose path was judged by the pins of one host for
another host: it connects anew, or judges the path again. The attacker's key is not pinned for
localhost. The server speaks HTTP/2 with clients that do. The control shows the pinned key under
both names.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.http2 import shared_connection
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.SESSION
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2014-3166",)
FOLLOWS = True


def host(_stage: Stage) -> str:
    """Begin with the attacker's own host."""
    return LOOPBACK


def policy(stage: Stage) -> str:
    """Pin CAs for the attacker's own host: the attacker's, and that of the control."""
    return stage.policy_toml(others={LOOPBACK: (stage.rogue.spki_pin, stage.issuing.spki_pin)})


def rogue(stage: Stage) -> LabServer:
    """Serve both names with the attacker's key."""
    return shared_connection(stage.rogue.issue(stage.host, LOOPBACK), stage.host)


def honest(stage: Stage) -> LabServer:
    """Serve both names with the pinned key."""
    return shared_connection(stage.server, stage.host)
