"""The gate in front of a TLS connection: nothing passes before a verdict, nothing after a refusal.

1. Deny by default: until the verdict, whatever reaches OpenSSL and is not known to be harmless runs
   the check first.
2. An implicit handshake (`do_handshake_on_connect=False`, then `recv`) becomes an explicit, checked
   one.
3. A refusal is final. The TCP socket is shut down both ways and what waits in an outgoing BIO is
   thrown away, so that neither application data nor the client's certificate leaves, not even in
   plain text: a stock `SSLSocket` sends plain text once its TLS layer is gone.
4. The path is judged as soon as OpenSSL has verified it: over BIOs before our next flight can be
   flushed, and, where there is a client certificate to keep back, within OpenSSL, before there is
   a flight.
5. What OpenSSL was given counts, not what `wrap_socket` was asked for: name and context are taken
   from OpenSSL's object when it is born, and do not change.
6. After acceptance the object's class changes to one with the stock I/O methods: data costs
   nothing.
7. A handshake raises nothing but what event loops expect of one: `ssl.SSLError` and its kin.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from holdfast.enforcement.context_pinning import Admission, Enforcement, pinning_of
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.pinned_client import PinnedClient
from holdfast.enforcement.sealed_object import SealedObject
from holdfast.enforcement.verified_path import presented_chain
from holdfast.errors import PinnedContextError
from holdfast.pins.pin_set import Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Outcome, Verdict, Violation

_TRY_AGAIN = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
SOCKET_IO = (
    *("send", "sendall", "sendto", "sendfile"),
    *("recv", "recv_into", "recvfrom", "recvfrom_into"),
)
_Connection = TypeVar("_Connection")
_STOCK_AFTER_ACCEPTANCE = ("read", "write", *SOCKET_IO)


class State(Enum):
    """How far a connection has come."""

    UNJUDGED = "unjudged"
    ACCEPTED = "accepted"
    UNWRAPPED = "unwrapped"  # back to plain text, because the application called unwrap()
    SHUT_DOWN = "shut down"  # accepted, then shutdown(): Python has dropped the TLS layer
    REFUSED = "refused"


class _Refusal(NamedTuple):
    """What was decided within OpenSSL, and is told when it has returned."""

    verdict: Verdict
    cause: Exception | None
    port: int | None


class Gate:
    """Mixed in front of `ssl.SSLSocket` and `ssl.SSLObject`."""

    _holdfast_state = State.UNJUDGED
    # What the context decided before OpenSSL's object was there; in force since its birth.
    _holdfast_admission: Any = None  # an Admission: no cast on the way of each handshake
    _holdfast_outgoing: ssl.MemoryBIO | None = None
    _holdfast_decide: Callable[[], Verdict]  # on what this connection showed, under any policy
    _holdfast_verdict: Verdict | None = None  # by which it was accepted
    _holdfast_violation: Violation | None = None
    _holdfast_refused_early: _Refusal | None = None

    @property
    def _sslobj(self) -> Any:
        sslobj = self.__dict__.get("_sslobj")
        return None if sslobj is None else SealedObject(sslobj, self._open_gate)

    @_sslobj.setter
    def _sslobj(self, sslobj: Any) -> None:
        if sslobj is not None:  # born, and nothing is sent yet
            self._holdfast_admit(sslobj)
        self.__dict__["_sslobj"] = sslobj

    def _holdfast_admit(self, sslobj: Any) -> None:
        admission = self._holdfast_admission
        if admission is None:  # whoever made it went past the context's own methods
            context = sslobj.context
            pinning = pinning_of(context)
            if pinning is None:
                raise PinnedContextError("the connection was not made by a pinned context")
            blocking = isinstance(self, socket.socket)
            admission = pinning.admit(context, sslobj.server_hostname, blocking=blocking)
        admission.pinning.confirm(admission, sslobj)
        self._holdfast_admission = admission
        if sslobj.context is not admission.trusting:
            sslobj.context = admission.trusting

    # The stock methods that reach OpenSSL; mypy cannot see the class that comes after this one.

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        """Do the handshake, then judge the path.

        Raises:
            PinViolationError: The connection is refused; it stays refused.
        """
        if self._holdfast_state is State.REFUSED:
            self._raise_refusal()
        handshake = super().do_handshake  # type: ignore[misc]
        if self._holdfast_state is not State.UNJUDGED:
            handshake(*args, **kwargs)
            return
        try:
            handshake(*args, **kwargs)
        except _TRY_AGAIN:
            self._tell_early_refusal()
            self._check(final=False)
            raise
        except ssl.SSLCertVerificationError as error:
            self._untrusted(error)
            raise
        except OSError:
            self._tell_early_refusal()
            raise
        self._tell_early_refusal()
        self._check(final=True)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read, once the connection is accepted."""
        self._open_gate()
        return super().read(*args, **kwargs)  # type: ignore[misc]

    def write(self, *args: Any, **kwargs: Any) -> Any:
        """Write, once the connection is accepted."""
        self._open_gate()
        return super().write(*args, **kwargs)  # type: ignore[misc]

    def unwrap(self) -> Any:
        """End TLS. What is sent from here on is plain text, as the application asked."""
        self._open_gate()
        plain = super().unwrap()  # type: ignore[misc]
        self._holdfast_state = State.UNWRAPPED
        return plain

    @property
    def context(self) -> ssl.SSLContext:
        """The pinned context. It cannot be replaced: that would replace the trust store."""
        if self._holdfast_admission is None:  # not connected yet
            return super().context  # type: ignore[misc,no-any-return]
        return self._holdfast_admission.context  # type: ignore[no-any-return]

    @context.setter
    def context(self, _: ssl.SSLContext) -> NoReturn:
        raise PinnedContextError("the context of a pinned connection cannot be replaced")

    @property
    def pinned_client(self) -> PinnedClient | None:
        """Who was accepted by a pinned server; None on a client's own connections."""
        return None

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session, once the connection is accepted; None before, and under pins-only trust.

        None, too, once the client's certificate was asked for after the handshake: CPython would
        take such a session to no other connection.
        """
        sslobj, admission = self.__dict__.get("_sslobj"), self._holdfast_admission
        if (
            self._holdfast_state is not State.ACCEPTED
            or admission is None
            or admission.trust is Trust.PINS_ONLY
            or (sslobj is not None and sslobj.context is not admission.context)
        ):
            return None
        return super().session  # type: ignore[misc,no-any-return]

    @session.setter
    def session(self, session: ssl.SSLSession) -> None:
        if self._holdfast_state is State.REFUSED:
            self._raise_refusal()
        set_session = super(Gate, type(self)).session.fset  # type: ignore[misc]
        sslobj: Any = self.__dict__.get("_sslobj")
        if sslobj is None or self._holdfast_state is not State.UNJUDGED:
            set_session(self, session)
        elif self._holdfast_admission.trust is not Trust.PINS_ONLY:
            # Pins-only trust takes no session, now as at the start.
            current = sslobj.context
            sslobj.context = self._holdfast_admission.context  # to which the session belongs
            try:
                set_session(self, session)
            finally:
                sslobj.context = current

    def _holdfast_on_message(self, *, asks: bool) -> None:
        """Judge the path within OpenSSL, and let the client's certificate be shown if it is good.

        An accepted connection may show it when the server asks again, after the handshake. Nothing
        is reported from here: that would run foreign code in the middle of a handshake.
        """
        sslobj, admission = self.__dict__.get("_sslobj"), self._holdfast_admission
        holder = admission.pinning.certificate_holder if admission is not None else None
        if holder is None or sslobj is None:
            return
        if self._holdfast_state is not State.UNJUDGED:
            if asks and self._holdfast_state is State.ACCEPTED:
                holder.show(sslobj)
            return
        cause = None
        try:
            verdict = self._verdict(final=False)
            if verdict is not None and verdict.allowed:
                holder.show(sslobj)  # and with that no further message comes here
        except Exception as error:  # noqa: BLE001  whatever fails in the check, the answer is no
            verdict, cause = self._failed_check(error), error
        if verdict is not None and not verdict.allowed:
            self._holdfast_refused_early = _Refusal(verdict, cause, self._port())
            self._end_for_good(verdict)

    def _holdfast_judge_again(self) -> bool:
        """Judge an accepted connection by the policy of now, and end it if that refuses it.

        Called by another thread, which must not touch OpenSSL's object.

        Returns:
            Whether there is still something to be watched.
        """
        if self._holdfast_state is not State.ACCEPTED or self._is_closed():
            return False
        verdict = self._holdfast_decide()
        if verdict.allowed:
            self._holdfast_verdict = verdict
            return True
        port = self._port()
        self._end_for_good(verdict, drop=False)
        judge = self._enforcement.judge
        self._holdfast_violation = judge.violation(verdict, (), port)
        judge.report(self._holdfast_violation)
        self._count(verdict)
        return False

    @property
    def _enforcement(self) -> Enforcement:
        return self._holdfast_admission.pinning.enforcement  # type: ignore[no-any-return]

    def _count(self, verdict: Verdict) -> None:
        if (tally := self._enforcement.tally) is not None:
            tally(verdict)

    def _is_closed(self) -> bool:
        return isinstance(self, socket.socket) and self.fileno() == -1

    def _tell_early_refusal(self) -> None:
        if self._holdfast_refused_early is not None:
            self._refuse(*self._holdfast_refused_early)

    def _open_gate(self) -> None:
        """Let an accepted connection pass; have an unjudged one judged first."""
        if self._holdfast_state is State.REFUSED:
            self._raise_refusal()
        if self._holdfast_state is State.UNJUDGED:
            Gate.do_handshake(self)  # whatever stands under that name on the object or a subclass

    def _check(self, *, final: bool) -> None:
        """Judge the path. In mid-handshake (`final=False`) no path means: not verified yet."""
        enforcement = self._enforcement
        try:
            policy = enforcement.live.policy_before() if final else None
            verdict = self._verdict(final=final)
            if final and verdict is not None and verdict.allowed:
                self._holdfast_accept(verdict, enforcement, policy)
                return
        except Exception as error:  # noqa: BLE001  whatever fails in the check, the answer is no
            self._refuse(self._failed_check(error), error)
        except BaseException:  # Ctrl-C in the check must not leave a usable connection
            self._end_for_good(
                _undecidable(self._holdfast_admission.host, "the check was interrupted")
            )
            raise
        if verdict is not None and not verdict.allowed:
            self._refuse(verdict)

    def _holdfast_accept(
        self, verdict: Verdict, enforcement: Enforcement, policy: Policy | None
    ) -> None:
        if verdict.violation:
            judge = enforcement.judge
            judge.report(judge.violation(verdict, _presented(self), self._port()))
        if enforcement.tally is not None:
            enforcement.tally(verdict)
        self._give_own_context_back()
        self._holdfast_verdict = verdict
        self._holdfast_state = State.ACCEPTED
        self.__class__ = accepted_class(type(self))  # type: ignore[arg-type]
        enforcement.live.add(self, policy)

    def _verdict(self, *, final: bool) -> Verdict | None:
        admission: Admission = self._holdfast_admission
        pinning, context, host, trust, trusting, is_verified, exceptions = admission
        judge, sslobj = pinning.enforcement.judge, self.__dict__["_sslobj"]
        again = pinning.second_look.again  # for later, and from another thread
        if sslobj.context is not trusting and not pinning.may_show_certificate(sslobj):
            raise PinnedContextError("the context of the connection was replaced")
        if final and is_verified and sslobj.session_reused:
            leaf = sslobj.getpeercert(True)  # noqa: FBT003
            self._holdfast_decide = functools.partial(
                judge.decide_resumed, host, leaf, trust, again
            )
            return self._holdfast_decide()
        path = pinning.enforcement.paths.read(self, host) if is_verified else ()  # type: ignore[arg-type]
        if not path and not final and is_verified:
            return None
        if trust is Trust.PINS_ONLY:
            path = path[:1]  # what stands behind the leaf was put there by name
        self._holdfast_decide = functools.partial(
            judge.decide, host, path, trust, exceptions, again
        )
        look = pinning.second_look.of(self, context, trusting)
        verdict = judge.decide(host, path, trust, exceptions, look)
        if final and verdict.allowed:
            judge.remember(host, path, trust, exceptions)
        return verdict

    def _give_own_context_back(self) -> None:
        """Give the connection the pinned context, to which its session belongs."""
        sslobj, context = self.__dict__["_sslobj"], self._holdfast_admission.context
        if sslobj.context is not context:
            sslobj.context = context

    def _failed_check(self, error: Exception) -> Verdict:
        reason = f"the check failed: {type(error).__name__}: {error}"
        return _undecidable(self._holdfast_admission.host, reason)

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> None:
        """Explain and report a failed verification of a pinned host, or leave the stock error."""
        reason = f"the chain does not verify: {error.verify_message}"
        verdict = self._enforcement.judge.untrusted(self._holdfast_admission.host, reason)
        if verdict is not None:
            self._refuse(verdict, error, verify_code=error.verify_code)

    def _refuse(
        self,
        verdict: Verdict,
        cause: BaseException | None = None,
        port: int | None = None,
        verify_code: int | None = None,
    ) -> NoReturn:
        """End the connection, then say why: all that takes time comes after the end."""
        port = port or self._port()
        self._end_for_good(verdict)
        judge = self._enforcement.judge
        self._holdfast_violation = judge.violation(verdict, _presented(self), port, verify_code)
        judge.report(self._holdfast_violation)
        self._count(verdict)
        self._raise_refusal(cause)

    def _end_for_good(self, verdict: Verdict, *, drop: bool = True) -> None:
        """Refuse from here on; `drop` throws away what waits in an outgoing BIO."""
        self.__class__ = unjudged_class(type(self))
        self._holdfast_violation = Violation(
            verdict=verdict, observed=Observed.UNKNOWN, time=datetime.now(UTC)
        )
        self._holdfast_state = State.REFUSED
        if isinstance(self, socket.socket):
            with contextlib.suppress(OSError):  # the peer was quicker
                socket.socket.shutdown(self, socket.SHUT_RDWR)
        elif drop and self._holdfast_outgoing is not None:
            self._holdfast_outgoing.read()

    def _raise_refusal(self, cause: BaseException | None = None) -> NoReturn:
        raise PinViolationError(cast("Violation", self._holdfast_violation)) from cause

    def _port(self) -> int | None:
        """Return the peer's TCP port; BIOs and Unix sockets have none."""
        if not isinstance(self, socket.socket):
            return None
        try:
            address = socket.socket.getpeername(self)
        except OSError:
            return None
        return address[1] if isinstance(address, tuple) else None


@functools.cache
def accepted_class(gated: type) -> type:
    """Return the subclass of a gated class whose I/O methods are the stock ones again."""
    if "_holdfast_gated" in gated.__dict__:
        return gated
    after_gate: Any = super(Gate, gated)
    stock = {
        name: getattr(after_gate, name)
        for name in _STOCK_AFTER_ACCEPTANCE
        if hasattr(after_gate, name)
    }
    # `_sslobj` is an instance attribute again, since the class attribute is no descriptor any more.
    return type(gated.__name__, (gated,), {**stock, "_sslobj": None, "_holdfast_gated": gated})


def unjudged_class(accepted: type) -> type:
    """Return the gated class that an accepted one was made from."""
    gated: type = accepted.__dict__.get("_holdfast_gated", accepted)
    return gated


def as_stock(connection: _Connection) -> _Connection:
    """Give a connection that nobody judges its stock class, and return it."""
    if isinstance(connection, Gate):
        kind: type = unjudged_class(type(connection))
        while issubclass(kind, Gate):
            kind = kind.__bases__[-1]  # the gate is mixed in front
        connection.__class__ = kind  # type: ignore[assignment]  # of which it is an instance
    return connection


def _undecidable(host: str, reason: str) -> Verdict:
    return Verdict(
        outcome=Outcome.UNDECIDABLE, allowed=False, violation=True, host=host, reason=reason
    )


def _presented(connection: Gate) -> tuple[bytes, ...]:
    """Return what the server sent, for the explanation only."""
    try:
        return presented_chain(connection)  # type: ignore[arg-type]
    except (ValueError, AttributeError):  # the TLS layer is gone already
        return ()
