"""The demo: an interception refused, and the changes of keys that pinning has to survive.

1. Everything that a step says was computed from what happened; the servers' logs are the judges.
2. Whether it went as told is decided here, step by step, and a step that did not says so.
3. Nothing is printed here.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.certificates.describe import describe
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import violation_from
from holdfast.findings.comparison import shortened
from holdfast.findings.explain import explain
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.verdict import Outcome
from holdfast.scenarios.stage import HOST, Exchange, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pins.chain import ChainCertificate
    from holdfast.pins.policy import Policy
    from holdfast.pins.verdict import Violation

__all__ = ["INTRODUCTION", "Evidence", "Step", "tell"]

INTRODUCTION = (
    f"Two servers on loopback, with throw-away keys and test CAs, answer for {HOST}: "
    "the bank's, certified by Web CA, and an attacker's, certified by Rogue CA. "
    "The clients trust both CAs; one also has a policy that pins the bank's key and a backup key. "
    "What a server received is read from its log."
)


class Evidence(NamedTuple):
    """Who says what. Servers speak through their logs."""

    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Attributes:
        title: What was tried.
        narration: Who trusts whom, and what was to happen.
        evidence: What happened.
        as_expected: Whether that is what was to happen.
        explanation: The whole text of a refusal, where the step is about it.
    """

    title: str
    narration: str
    evidence: tuple[Evidence, ...]
    as_expected: bool
    explanation: str | None = None


class _Unlogged:
    """A sink that leaves the telling to the steps; the stock one would log each violation too."""

    def report(self, violation: Violation) -> None:
        """Do nothing."""


def tell(stage: Stage, policy: Policy) -> Iterator[Step]:
    """Let it happen, and yield each step when it is over.

    Args:
        stage: The servers, started.
        policy: What the pinned client goes by, normally `stage.policy()`.
    """
    yield from _Story(stage, policy).steps()


class _Story:
    """The two clients, and what they do in turn."""

    def __init__(self, stage: Stage, policy: Policy) -> None:
        self._stage = stage
        self._policy = policy
        self._plain = ssl.create_default_context(cafile=str(stage.anchors_path))
        self._pinned = PinningContext(policy, sink=_Unlogged(), public_anchors=stage.anchors_path)

    def steps(self) -> Iterator[Step]:
        stage = self._stage
        first = stage.ask(self._pinned, stage.bank)
        yield Step(
            "The bank answers the pinned client",
            "Web CA vouches for the bank's certificate, and its key is the one in the policy.",
            (self._pinned_client(first), _log("bank", first)),
            self._is_served(first) and self._key_role(first.leaf) == "leaf",
        )

        fooled = stage.ask(self._plain, stage.attacker)
        yield Step(
            "The attacker answers instead; a client without pins",
            "Rogue CA vouches for the attacker. The client trusts it, and gives its token away.",
            (_client(fooled), _log("attacker", fooled, show=b"Authorization:")),
            self._is_served(fooled),
        )

        refused = stage.ask(self._pinned, stage.attacker)
        yield Step(
            "The attacker answers instead; the pinned client",
            "The same certificate and the same trust, but a key that is not in the policy: "
            "the connection ends before the request is sent.",
            (self._pinned_client(refused), _log("attacker", refused)),
            _is_refused(refused),
        )

        stage.renew_certificate()
        renewed = stage.ask(self._pinned, stage.bank)
        yield Step(
            "The bank renews its certificate and keeps its key",
            "A pin names a key, not a certificate: nothing needs to change in the client.",
            (self._pinned_client(renewed, first), _log("bank", renewed)),
            self._is_served(renewed)
            and _is_another_certificate(renewed, first)
            and self._key_role(renewed.leaf) == "leaf",
        )

        stage.switch_to_backup_key()
        switched = stage.ask(self._pinned, stage.bank)
        yield Step(
            "The bank switches to its backup key",
            "The policy has named this key from the start: nothing needs to change here either.",
            (self._pinned_client(switched, first), _log("bank", switched)),
            self._is_served(switched) and self._key_role(switched.leaf) == "backup",
        )

        stage.switch_to_unannounced_key()
        surprised = stage.ask(self._pinned, stage.bank)
        violation = violation_from(surprised.error)
        yield Step(
            "The bank switches to a key of which it told nobody",
            "This is the real bank, but from here it looks like an attack: the client refuses, "
            "and says what it expected, what it saw and whom to ask.",
            (self._pinned_client(surprised), _log("bank", surprised)),
            _is_refused(surprised),
            explain(violation) if violation else None,
        )

    def _is_served(self, exchange: Exchange) -> bool:
        return exchange.answer is not None and self._stage.token.encode() in exchange.seen.received

    def _key_role(self, leaf: ChainCertificate | None) -> str | None:
        """Return under what the policy has the key of a leaf: `leaf`, `backup` or nothing."""
        pin_set = self._policy.pin_set_for(HOST)
        if leaf is None or pin_set is None:
            return None
        pins = {"leaf": pin_set.leaf, "backup": pin_set.backup}
        return next((name for name, listed in pins.items() if _pin(leaf) in listed), None)

    def _pinned_client(self, exchange: Exchange, earlier: Exchange | None = None) -> Evidence:
        """Say what the pinned client did, and which key it was shown."""
        leaf = exchange.leaf
        if leaf is None:
            return _client(exchange, "pinned client")
        role = self._key_role(leaf)
        pinned = f"the policy's {role}" if role else "not pinned"
        shown = f"key {shortened(_pin(leaf))} is {pinned}"
        if earlier is not None and _is_another_certificate(exchange, earlier):
            shown = f"new certificate, {shown}"
        return _client(exchange, "pinned client", shown)


def _client(exchange: Exchange, who: str = "client", shown: str = "") -> Evidence:
    """Say what a client did, and what it was shown: the issuer, if nothing else is said."""
    violation = violation_from(exchange.error)
    if violation is not None:
        verdict = violation.verdict
        what = f"{verdict.host}: {verdict.outcome.value}: {verdict.reason}"
        return Evidence(who, f"{type(exchange.error).__name__}: {what}")
    if exchange.leaf is None or exchange.error is not None:
        return Evidence(who, f"failed: {exchange.error!r}")
    shown = shown or f"certificate from {describe(exchange.leaf.der).issuer}"
    return Evidence(who, f'{shown}; read "{exchange.answer}"')


def _log(server: str, exchange: Exchange, *, show: bytes = b"GET ") -> Evidence:
    """Say what a server's log has about the connection.

    Args:
        server: Whose server.
        exchange: The connection.
        show: How a line begins that is worth showing, if it was received.
    """
    seen = exchange.seen
    what = f"{seen.version} handshake" if seen.handshake_completed else f"failed: {seen.error}"
    what += f", then {_received(exchange)} bytes"
    lines = [line for line in seen.received.splitlines() if line.startswith(show)]
    if lines:
        what += f' with "{lines[0].decode("latin-1")}"'
    return Evidence(f"{server}'s log", what)


def _received(exchange: Exchange) -> int:
    """Return how many bytes reached the server beside the handshake, encrypted or not."""
    return exchange.seen.application_bytes + exchange.seen.plain_bytes


def _is_refused(exchange: Exchange) -> bool:
    """Tell whether the client refused because of its pins alone, and nothing reached the server."""
    violation = violation_from(exchange.error)
    return (
        violation is not None
        and violation.verdict.outcome is Outcome.MISMATCH
        and exchange.seen.handshake_completed
        and _received(exchange) == 0
    )


def _is_another_certificate(exchange: Exchange, earlier: Exchange) -> bool:
    return (
        exchange.leaf is not None
        and earlier.leaf is not None
        and exchange.leaf.cert_sha256 != earlier.leaf.cert_sha256
    )


def _pin(leaf: ChainCertificate) -> Pin:
    return Pin(PinAlgorithm.SPKI, leaf.spki_sha256)
