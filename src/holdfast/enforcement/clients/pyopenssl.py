"""Pins for pyOpenSSL: connections whose path is judged while OpenSSL verifies it.

    pinning = OpenSSLPinning(policy)
    connection = pinning.connection("api.example.com", sock)
    connection.do_handshake()

1. OpenSSL verifies as ever. Its callback is given the path that it built, from the anchor down to
   the leaf; at the leaf the path is complete and judged, by the same judge as in `PinningContext`.
   pyOpenSSL checks no names, so that is done here.
2. A refusal ends the handshake before our next flight: neither application data nor the client's
   certificate leaves, over sockets and over memory BIOs (Twisted), on TLS 1.2 and 1.3.
3. Nothing is read or written before the handshake was done and its path accepted, and after it the
   path that OpenSSL kept has to be the one that was judged.
4. Sessions are not resumed, since nothing is verified then; there is no renegotiation.

What `PinningContext` has and this has not: a second look for another path, and local exceptions.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from OpenSSL import SSL, crypto

from holdfast.certificates.lone_leaf import is_named
from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.context_pinning import canonical_name
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.log_sink import LogSink
from holdfast.errors import PinnedContextError
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Verdict, Violation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from holdfast.pins.interfaces import PolicySource, ViolationSink

__all__ = ["OpenSSLPinning", "OpenSSLViolationError", "PinnedConnection"]

_MEMORY_LIMIT = 64  # contexts, one for each set of anchors; at the limit all are made anew
_HOSTNAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_TRY_AGAIN = (SSL.WantReadError, SSL.WantWriteError, SSL.WantX509LookupError)


class OpenSSLViolationError(PinViolationError, SSL.Error):
    """The violation as pyOpenSSL and Twisted expect an error: `except SSL.Error` catches it."""

    def __init__(self, violation: Violation) -> None:
        """Take the violation."""
        super().__init__(violation)
        # As pyOpenSSL's own: a queue of library, function and reason, which Twisted reads.
        self.args = ([("HOLDFAST", "", self.message)],)


class OpenSSLPinning:
    """Makes connections of pyOpenSSL that a policy judges.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        public_anchors: A PEM file of trust anchors to use instead of the platform's store.
        configure: Called with each `SSL.Context` that is made, for client certificates, ciphers
            and protocols. Verification is set after it.

    Raises:
        TrustStoreError: The file has no trust anchors.
        TypeError: The source is none.
    """

    def __init__(
        self,
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
        configure: Callable[[SSL.Context], object] = lambda _context: None,
    ) -> None:
        """Bind the policy source and read the trust anchors."""
        if not isinstance(getattr(source, "current", lambda: None)(), Policy):
            raise TypeError("pins take a policy: holdfast.load_policy(path) or a PolicySource")
        self._anchors = () if public_anchors is None else load_anchors(public_anchors)
        self._configure = configure
        self.judge = HandshakeJudge(
            source, LogSink() if sink is None else sink, named_anchors=self._anchors
        )
        self.live = LiveConnections(source)
        self._contexts: dict[tuple[Trust, tuple[bytes, ...]], SSL.Context] = {}

    def connection(self, host: str, sock: socket.socket | None = None) -> PinnedConnection:
        """Return a client's connection to a host, before its handshake.

        Args:
            host: The name or address that was connected to; SNI, the certificate's name check and
                the pins go by it.
            sock: The connected socket; without one, memory BIOs (`bio_read`, `bio_write`).

        Raises:
            HostNameError: The name is none.
            PinnedContextError: There is no name.
            PinViolationError: The policy source failed.
        """
        name = canonical_name(host)
        pin_set, _ = self.judge.rules_for(name)
        trust = pin_set.trust if pin_set else Trust.PUBLIC
        return PinnedConnection(self, self._context_for(pin_set, trust), sock, name, trust)

    def _context_for(self, pin_set: PinSet | None, trust: Trust) -> SSL.Context:
        """Return the context with the anchors of a trust, and with no others."""
        anchors = self._anchors
        if pin_set is not None and trust is Trust.PRIVATE:
            anchors = pin_set.anchors
        context = self._contexts.get((trust, anchors))
        if context is None:
            if len(self._contexts) >= _MEMORY_LIMIT:
                self._contexts.clear()
            context = self._contexts[trust, anchors] = self._made(trust, anchors)
        return context

    def _made(self, trust: Trust, anchors: tuple[bytes, ...]) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._configure(context)
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        context.set_verify(SSL.VERIFY_PEER, _on_certificate)
        if trust is Trust.PINS_ONLY:
            return context
        store = context.get_cert_store()
        if store is None:
            raise PinnedContextError("the context of pyOpenSSL has no store for trust anchors")
        if anchors:
            for anchor in anchors:
                store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, anchor))
        else:
            context.set_default_verify_paths()
        if sys.version_info >= (3, 13):  # as Python's own contexts verify there
            store.set_flags(crypto.X509StoreFlags.X509_STRICT)
        return context


def _on_certificate(
    connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int
) -> bool:
    """Answer OpenSSL for one certificate. No exception leaves: pyOpenSSL hands them to others."""
    if not isinstance(connection, PinnedConnection):
        return False  # made past `OpenSSLPinning.connection`, so nobody knows its host
    return connection._holdfast_on_certificate(certificate, code, depth, ok=bool(ok))  # noqa: SLF001


def _in_words(code: int) -> str:
    """Return OpenSSL's name for an error of verification (X509_V_ERR_...), as words."""
    names = {value: name for name, value in vars(SSL.X509VerificationCodes).items()}
    return names.get(code, f"error {code}").removeprefix("ERR_").replace("_", " ").lower()


class PinnedConnection(SSL.Connection):
    """A connection of pyOpenSSL to one host. Made by `OpenSSLPinning.connection`."""

    def __init__(
        self,
        pinning: OpenSSLPinning,
        context: SSL.Context,
        sock: socket.socket | None,
        host: str,
        trust: Trust,
    ) -> None:
        """Get ready for the handshake."""
        super().__init__(context, sock)
        self._holdfast_pinning = pinning
        self._holdfast_host, self._holdfast_trust = host, trust
        self._holdfast_sock = sock
        self._holdfast_path: dict[int, bytes] = {}  # by depth; the leaf has 0
        self._holdfast_verdict: Verdict | None = None
        self._holdfast_code: int | None = None
        self._holdfast_violation: Violation | None = None
        self._holdfast_accepted = False
        if not is_ip_literal(host):
            self.set_tlsext_host_name(host.encode("ascii"))
        self.set_connect_state()

    def do_handshake(self) -> None:
        """Do the handshake, in which the path is judged.

        Raises:
            OpenSSLViolationError: The connection is refused; it stays refused.
        """
        self._holdfast_raise_refusal()
        if self._holdfast_accepted:
            super().do_handshake()
            return
        pinning = self._holdfast_pinning
        policy = pinning.live.policy_before()
        try:
            super().do_handshake()
        except _TRY_AGAIN:
            raise
        except SSL.Error as error:
            if self._holdfast_verdict is not None and not self._holdfast_verdict.allowed:
                self._holdfast_refuse(self._holdfast_verdict, error)
            raise
        verdict = self._holdfast_final_verdict()
        if not verdict.allowed:
            self._holdfast_refuse(verdict)
        if verdict.violation:
            pinning.judge.report(self._holdfast_violation_of(verdict))
        self._holdfast_accepted = True
        pinning.live.add(self, policy)

    def send(self, buf: Any, flags: int = 0) -> int:
        """Send, once the path is accepted."""
        self._holdfast_open()
        return super().send(buf, flags)

    write = send

    def sendall(self, buf: Any, flags: int = 0) -> int:
        """Send everything, once the path is accepted."""
        self._holdfast_open()
        return super().sendall(buf, flags)

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """Receive, once the path is accepted."""
        self._holdfast_open()
        return super().recv(bufsiz, flags)

    read = recv

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive into a buffer, once the path is accepted."""
        self._holdfast_open()
        return super().recv_into(*args, **kwargs)

    def set_session(self, session: SSL.Session) -> NoReturn:  # noqa: ARG002
        """Refuse to resume a session: OpenSSL verifies nothing then."""
        raise PinnedContextError(
            "a pinned connection of pyOpenSSL does not resume sessions",
            hint="remove set_session(); with an ssl.SSLContext, PinningContext can",
        )

    def set_context(self, context: SSL.Context) -> NoReturn:  # noqa: ARG002
        """Refuse another context: it would replace the trust store."""
        raise PinnedContextError("the context of a pinned connection cannot be replaced")

    def set_verify(self, *args: object, **kwargs: object) -> NoReturn:  # noqa: ARG002
        """Refuse other verification: it would take the place of the check."""
        raise PinnedContextError("a pinned connection always verifies certificates")

    def _holdfast_on_certificate(
        self, certificate: crypto.X509, code: int, depth: int, *, ok: bool
    ) -> bool:
        """Take the next certificate of the path, and judge the path at the leaf."""
        verdict = self._holdfast_verdict
        if verdict is not None and not verdict.allowed:
            return False
        try:
            if not ok and not self._is_pins_only:  # name constraints come after the leaf
                self._holdfast_code = code
                self._holdfast_verdict = self._holdfast_untrusted(_in_words(code))
                return False
            if verdict is not None:
                return True
            der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
            self._holdfast_path[depth] = der
            if depth:
                return True
            self._holdfast_verdict = self._holdfast_judge()
        except Exception as error:  # noqa: BLE001  whatever fails in the check, the answer is no
            reason = f"the check failed: {type(error).__name__}: {error}"
            self._holdfast_verdict = self._holdfast_undecidable(reason)
        return self._holdfast_verdict.allowed

    @property
    def _is_pins_only(self) -> bool:
        return self._holdfast_trust is Trust.PINS_ONLY

    def _holdfast_judge(self) -> Verdict:
        host, leaf = self._holdfast_host, self._holdfast_path[0]
        judge = self._holdfast_pinning.judge
        if self._is_pins_only:
            return judge.decide(host, (leaf,), Trust.PINS_ONLY)
        if not is_named(leaf, host):
            self._holdfast_code = _HOSTNAME_MISMATCH
            return self._holdfast_untrusted(f"no name of the certificate covers {host}")
        return judge.decide(host, self._holdfast_whole_path(), self._holdfast_trust)

    def _holdfast_whole_path(self) -> tuple[bytes, ...]:
        """Return the path that was verified, leaf first; empty if a part of it was not shown."""
        depths = range(len(self._holdfast_path))
        return tuple(self._holdfast_path.get(depth, b"") for depth in depths)

    def _holdfast_final_verdict(self) -> Verdict:
        """Return the verdict, if it is about what OpenSSL has kept of the handshake."""
        if self._holdfast_verdict is None:
            return self._holdfast_undecidable("the handshake ended without a check of the path")
        if self._is_pins_only:
            certificate = self.get_peer_certificate()
            kept = [] if certificate is None else [certificate]
            judged: tuple[bytes, ...] = (self._holdfast_path[0],)
        else:
            kept, judged = self.get_verified_chain() or [], self._holdfast_whole_path()
        path = tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in kept)
        if path != judged and self._holdfast_verdict.allowed:
            return self._holdfast_undecidable("the path that was judged is not the whole path")
        return self._holdfast_verdict

    def _holdfast_untrusted(self, reason: str) -> Verdict:
        reason = f"the chain does not verify: {reason}"
        host = self._holdfast_host
        verdict = self._holdfast_pinning.judge.untrusted(host, reason)
        if verdict is not None:
            return verdict
        # Nobody lists the host, and no policy is broken: it is an error all the same.
        return Verdict(
            outcome=Outcome.UNTRUSTED, allowed=False, violation=False, host=host, reason=reason
        )

    def _holdfast_undecidable(self, reason: str) -> Verdict:
        return Verdict(
            outcome=Outcome.UNDECIDABLE,
            allowed=False,
            violation=True,
            host=self._holdfast_host,
            reason=reason,
        )

    def _holdfast_refuse(self, verdict: Verdict, cause: SSL.Error | None = None) -> NoReturn:
        """End the connection, report, and raise; an untrusted unlisted host is left to OpenSSL."""
        self._holdfast_end()
        if not verdict.violation:
            raise cause or PinnedContextError(
                f"{verdict.host}: verification was switched off underneath the pinned connection"
            )
        self._holdfast_violation = self._holdfast_violation_of(verdict)
        self._holdfast_pinning.judge.report(self._holdfast_violation)
        raise OpenSSLViolationError(self._holdfast_violation) from cause

    def _holdfast_violation_of(self, verdict: Verdict) -> Violation:
        seen = tuple(self._holdfast_path[depth] for depth in sorted(self._holdfast_path))
        port = None
        with contextlib.suppress(OSError, AttributeError, IndexError):  # gone, or there is none
            port = self._holdfast_sock.getpeername()[1]  # type: ignore[union-attr]
        judge = self._holdfast_pinning.judge
        return judge.violation(verdict, seen, port, self._holdfast_code)

    def _holdfast_open(self) -> None:
        """Let an accepted connection pass; have an unjudged one judged first."""
        self._holdfast_raise_refusal()
        if not self._holdfast_accepted:
            self.do_handshake()

    def _holdfast_raise_refusal(self) -> None:
        if self._holdfast_violation is not None:
            raise OpenSSLViolationError(self._holdfast_violation)

    def _holdfast_end(self) -> None:
        if self._holdfast_sock is not None:
            with contextlib.suppress(OSError):  # the peer was quicker
                self._holdfast_sock.shutdown(socket.SHUT_RDWR)

    def _holdfast_judge_again(self) -> bool:
        """Judge an accepted connection by the policy of now, and end it if that refuses it.

        Called by another thread, which must not touch OpenSSL's object.
        """
        sock = self._holdfast_sock
        if not self._holdfast_accepted or (sock is not None and sock.fileno() == -1):
            return False
        path = self._holdfast_whole_path()
        path = path[:1] if self._is_pins_only else path
        judge = self._holdfast_pinning.judge
        verdict = judge.decide(self._holdfast_host, path, self._holdfast_trust)
        if verdict.allowed:
            return True
        self._holdfast_violation = self._holdfast_violation_of(verdict)
        self._holdfast_accepted = False
        self._holdfast_end()
        judge.report(self._holdfast_violation)
        return False
