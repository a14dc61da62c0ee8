"""A TLS 1.3 session that was made with the attacker's own host is resumed for the pinned host.

    https://127.0.0.1/   leaf (attacker's key) <- Rogue root (pinned for this host, trusted)
    -> 307 https://localhost/, same port, same session tickets

A client that does not pin talks to both. If it keeps sessions, and looks them up by address and
port, it resumes the first host's session for the second: no certificate is sent then, and nothing
is verified, not even the name.

A pinning client must not take a session that another host gave for proof of the key: it resumes for
the same host only, or judges the path that the session was made with by the pins of the host that
it connects to. Whether the client resumes or not, the attacker's key is not pinned for localhost.
The control shows the pinned key under both names.
"""

from __future__ import annotations

import ssl

from holdfast.lab import resumption
from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

ATTACK_CLASS = AttackClass.SESSION
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2022-21654", "CVE-2025-68121")
FOLLOWS = True


def host(_stage: Stage) -> str:
    """Begin with the attacker's own host."""
    return LOOPBACK


def policy(stage: Stage) -> str:
    """Pin CAs for the attacker's own host: the attacker's, and that of the control."""
    return stage.policy_toml(others={LOOPBACK: (stage.rogue.spki_pin, stage.issuing.spki_pin)})


def rogue(stage: Stage) -> LabServer:
    """Serve both names with the attacker's key."""
    identity = stage.rogue.issue(stage.host, LOOPBACK)
    return resumption.two_hosts(stage, identity, ssl.TLSVersion.TLSv1_3)


def honest(stage: Stage) -> LabServer:
    """Serve both names with the pinned key."""
    return resumption.two_hosts(stage, stage.server, ssl.TLSVersion.TLSv1_3)
