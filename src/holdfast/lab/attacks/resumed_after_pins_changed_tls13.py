"""A TLS 1.3 session that is older than the denial of its key is resumed.

    leaf (pinned key) <- Honest issuing CA <- Honest root (trusted)
    the policy changes, while the client runs: this key is denied, another one is pinned
    leaf (the same key, denied) <- ...   and its sessions are still good for the server

A client that does not pin goes on. If it keeps sessions it resumes the old one: the certificate is
not sent again, so that a check that hangs on it does not run.

A pinning client that follows its policy must refuse from then on, in a full handshake and in a
resumed one: the key was stolen, and who stole it holds its sessions too. It has two seconds to
notice the change, and connects three times; only the last connection counts. In the control the
policy changes to name another key, which the server then shows.
"""

from __future__ import annotations

import ssl

from holdfast.lab import resumption
from holdfast.lab.attack import AttackClass
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.SESSION
FOOLS_PLAIN = True
STANDS_FOR = ("CVE-2022-21654", "CVE-2025-68121")
HOLDS = ("the server's key",)
FOLLOWS = True
MAY_DECLINE = "the client does not follow a change of its policy, or does not follow redirects"


def rogue(stage: Stage) -> LabServer:
    """Go on with the key after it was denied."""
    return resumption.key_denied_meanwhile(stage, ssl.TLSVersion.TLSv1_3)


def honest(stage: Stage) -> LabServer:
    """Go over to a key that the policy has pinned meanwhile."""
    return resumption.key_replaced_meanwhile(stage, ssl.TLSVersion.TLSv1_3)
