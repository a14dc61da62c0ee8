"""Who a pinned server accepted, for the application behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.pins.pin import Pin
from holdfast.pins.verdict import Verdict

__all__ = ["PinnedClient", "pinned_client_of"]


@dataclass(frozen=True, slots=True)
class PinnedClient:
    """A client that was accepted: who it is, and by which pin set.

    Attributes:
        identity: The SPIFFE ID or DNS name in its certificate that the pin set names.
        pin_set: The name of the set.
        pin: The pin that it was accepted by, for private trust without pins that of its anchor.
            None where a mismatch was let pass (report-only, break-glass, expiry): then only the CA
            vouches for the identity.
    """

    identity: str
    pin_set: str
    pin: Pin | None

    @classmethod
    def of(cls, verdict: Verdict) -> PinnedClient | None:
        """Take from a verdict what an application needs; None if it let nobody in."""
        if not verdict.allowed or verdict.pin_set is None:
            return None
        pin = verdict.matched.pin if verdict.matched else None
        return cls(verdict.host, verdict.pin_set.name, pin)


def pinned_client_of(connection: Any) -> PinnedClient | None:
    """Return who was accepted on a server's connection; None if it is none of a pinned server."""
    client = getattr(connection, "pinned_client", None)
    return client if isinstance(client, PinnedClient) else None
