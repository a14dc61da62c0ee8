"""The protocols through which the parts meet."""

from __future__ import annotations

from typing import Any, Protocol

from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Violation


class PolicySource(Protocol):
    """Says what the policy is now.

    A source may also have `note_violation(violation)`, which returns at once: pins that do not
    match may have been changed.
    """

    def current(self) -> Policy:
        """Return the policy in force; never wait for a network, a disk or a lock, never raise."""
        ...


class ViolationSink(Protocol):
    """Takes violations. It is called in the middle of a handshake."""

    def report(self, violation: Violation) -> None:
        """Take note of a violation; return at once. What it raises is swallowed and logged."""
        ...


class OwnChannel(Protocol):
    """A way to Holdfast's own origins (updates, reports) that no policy can cut off.

    A policy that refuses what is unlisted would refuse its own successor otherwise. What comes over
    it is trusted for its signature, not for the connection.
    """

    def context(self) -> Any:  # noqa: ANN401  an ssl.SSLContext, which is no word of this package
        """Return a client's TLS context that verifies, and connects to those origins only."""
        ...
