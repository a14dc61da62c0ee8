"""The decision of a server on one handshake: who the client is, and whether its path satisfies.

What holds for servers (`HandshakeJudge`) holds here too, and

1. A handshake without a path is refused in any case: the client showed no certificate, by a cipher
   or a pre-shared key that needs none.
2. A session (TLS 1.2, by its id: there are no tickets) is resumed only by a client whose path was
   accepted before, under the policy of now, and not after its certificate ended.
3. Certificates that nobody vouches for are not shown in reports: they are whatever a stranger cared
   to send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from holdfast.certificates.client_names import client_leaf
from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement.handshake import HandshakeJudge, utc_now
from holdfast.enforcement.second_look import Look
from holdfast.errors import CertificateError
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.evaluate_client import NAMELESS, evaluate_client, refused_client
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin_set import Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Verdict, Violation

__all__ = ["ClientJudge"]

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED: signatures were checked before.
_SIGNED = (9, 10)


class ClientJudge(HandshakeJudge):
    """Decides on the clients of a server. The host that it is asked about is always `NAMELESS`."""

    def __init__(
        self,
        source: PolicySource,
        sink: ViolationSink,
        *,
        public_anchors: tuple[bytes, ...] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Bind a source, a sink, and the anchors (DER) for sets with public trust."""
        super().__init__(source, sink, named_anchors=public_anchors, clock=clock)
        self._public_anchors = frozenset(public_anchors)

    def decide(
        self,
        host: str,
        path: tuple[bytes, ...],
        trust: Trust | None = Trust.PUBLIC,
        exceptions: tuple[LocalException, ...] = (),
        look: Look | None = None,  # noqa: ARG002  other paths are verified for servers' names
    ) -> Verdict:
        """Decide on a path that was verified in this handshake; clients have no second look."""
        return super().decide(host, path, trust, exceptions)

    def decide_resumed(
        self,
        host: str,
        leaf: bytes | None,
        trust: Trust | None = Trust.PUBLIC,
        look: Look | None = None,  # noqa: ARG002  as above
    ) -> Verdict:
        """Decide on a resumed session, for which OpenSSL looks at no date."""
        verdict = super().decide_resumed(host, leaf, trust)
        if verdict.allowed and leaf is not None and self._clock() > client_leaf(leaf).not_after:
            reason = "the certificate of the resumed session has expired"
            return refused_client(Outcome.UNTRUSTED, verdict.host, reason, verdict.pin_set)
        return verdict

    def untrusted(self, host: str, reason: str) -> Verdict:
        """Return the verdict on a client whose chain did not verify, so that it is nobody yet."""
        return refused_client(Outcome.UNTRUSTED, host, reason)

    def violation(
        self,
        verdict: Verdict,
        presented: tuple[bytes, ...],
        port: int | None,  # noqa: ARG002  the client's, another one each time
        verify_code: int | None = None,
    ) -> Violation:
        """Put together what is known of a refused or reported client."""
        if verdict.outcome is Outcome.UNTRUSTED and verify_code not in _SIGNED:
            presented = ()
        of_client = replace(verdict, is_client=True)
        return super().violation(of_client, presented, None, verify_code)

    def _decide(
        self,
        policy: Policy,
        host: str,  # noqa: ARG002  always the same
        path: tuple[bytes, ...],
        trust: Trust | None,  # noqa: ARG002  the set's own is asked for
    ) -> Verdict:
        if not path:
            reason = "OpenSSL has no verified path for this client"
            return refused_client(Outcome.UNDECIDABLE, NAMELESS, reason)
        try:
            chain = VerifiedChain(tuple(map(chain_certificate, path)))
            identities = client_leaf(path[0]).identities
        except CertificateError as error:
            return refused_client(Outcome.UNDECIDABLE, NAMELESS, error.message)
        anchors = self._public_anchors
        return evaluate_client(policy, identities, chain, self._clock(), public_anchors=anchors)
