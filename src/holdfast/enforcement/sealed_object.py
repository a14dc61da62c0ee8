"""What stands in for OpenSSL's object until the verdict: deny by default."""

from __future__ import annotations

from typing import Any

from holdfast.errors import PinnedContextError

__all__ = ["HARMLESS", "SealedObject"]

# What an unjudged connection may be asked for: facts about the handshake, and the handshake itself.
HARMLESS = frozenset(
    {
        *("cipher", "client_sigalg", "compression", "context", "do_handshake"),
        *("get_channel_binding", "get_unverified_chain", "get_verified_chain", "getpeercert"),
        *("group", "owner", "pending", "selected_alpn_protocol", "selected_npn_protocol"),
        *("server_hostname", "server_sigalg", "server_side", "session", "session_reused"),
        *("shared_ciphers", "uses_ktls_for_recv", "uses_ktls_for_send", "version"),
    }
)


class SealedObject:
    """OpenSSL's object behind the gate.

    Methods that a Python to come may call there meet the gate too.
    """

    __slots__ = ("_object", "_open")

    def __init__(self, sslobj: Any, open_gate: Any) -> None:
        object.__setattr__(self, "_object", sslobj)
        object.__setattr__(self, "_open", open_gate)

    def __getattr__(self, name: str) -> Any:
        if name not in HARMLESS:
            self._open()
        return getattr(self._object, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "context":
            raise PinnedContextError("the context of a pinned connection cannot be replaced")
        setattr(self._object, name, value)
