"""Servers that keep sessions and connections while the world around them changes.

The attacks come in pairs, one for each TLS version, since the two resume in different ways (RFC
5077 and RFC 8446 section 2.2). What a pair does is the same, and stands here.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from holdfast.lab.dialogues import lead_on
from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.lab.authorities import Identity
    from holdfast.lab.stage import Stage

__all__ = ["key_denied_meanwhile", "key_replaced_meanwhile", "two_hosts"]

_NOTICE = 1.0  # seconds that a client has at each of two stops to notice a new policy


def two_hosts(stage: Stage, identity: Identity, version: ssl.TLSVersion) -> LabServer:
    """Return a server that sends clients on to `Stage.host`, whatever host they came to."""
    return _server(identity, version, [_nothing], stage)


def key_denied_meanwhile(
    stage: Stage, version: ssl.TLSVersion | None = None, *, hangs_up: bool = True
) -> LabServer:
    """Return a server whose key the policy denies once the client has been there.

    Args:
        stage: Whose policy changes.
        version: The only TLS version that it speaks; None: any.
        hangs_up: Let the client connect anew for each request.
    """
    successor = stage.issuing.issue(stage.host)
    changed = stage.policy_toml(pins=(successor.spki_pin,), denied=(stage.pin,))
    stops = [lambda: stage.publish(changed), _nothing]
    return _server(stage.server, version, stops, stage, _NOTICE, hangs_up=hangs_up)


def key_replaced_meanwhile(stage: Stage, version: ssl.TLSVersion | None = None) -> LabServer:
    """Return a server that goes over to a new key, once the policy has pinned it too."""
    successor = stage.issuing.issue(stage.host)
    changed = stage.policy_toml(pins=(stage.pin, successor.spki_pin))
    server: LabServer
    stops = [lambda: stage.publish(changed), lambda: server.switch(successor)]
    server = _server(stage.server, version, stops, stage, _NOTICE)
    return server


def _nothing() -> None:
    pass


def _server(
    identity: Identity,
    version: ssl.TLSVersion | None,
    stops: list[Callable[[], None]],
    stage: Stage,
    pause: float = 0,
    *,
    hangs_up: bool = True,
) -> LabServer:
    return LabServer(
        identity,
        minimum_version=version or ssl.TLSVersion.TLSv1_2,
        maximum_version=version or ssl.TLSVersion.TLSv1_3,
        dialogue=lead_on(stage.host, stops, pause=pause, hangs_up=hangs_up),
    )
