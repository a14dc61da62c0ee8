"""The two protocols through which the parts meet."""

from __future__ import annotations

from typing import Protocol

from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Violation


class PolicySource(Protocol):
    """Says what the policy is now."""

    def current(self) -> Policy:
        """Return the policy in force; never wait for a network, a disk or a lock, never raise."""
        ...


class ViolationSink(Protocol):
    """Takes violations. It is called in the middle of a handshake."""

    def report(self, violation: Violation) -> None:
        """Take note of a violation; return at once. What it raises is swallowed and logged."""
        ...
