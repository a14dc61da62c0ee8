"""What pins the connections of one context: who judges them, under which trust each is made.

A context has one of these: a `PinningContext` its own for life, a stock context one for as long as
enforcement is process-wide. The gate asks it for everything that it needs to know.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from holdfast.enforcement.client_certificate import HAS_MESSAGE_CALLBACK, CertificateHolder
from holdfast.enforcement.genuine_context import CContext
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.second_look import SecondLook
from holdfast.enforcement.trust_contexts import TrustContexts
from holdfast.enforcement.verified_path import PathReader
from holdfast.errors import PinnedContextError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.verdict import Verdict

__all__ = ["Admission", "ContextPinning", "Enforcement", "adopt_with", "pinning_of"]

_verify_mode_of = CContext.verify_mode.__get__
_checks_hostname = CContext.check_hostname.__get__
_options_of = CContext.options.__get__
_NO_RENEGOTIATION = int(ssl.OP_NO_RENEGOTIATION)
_CERT_REQUIRED = int(ssl.CERT_REQUIRED)
_canonical_host = functools.lru_cache(maxsize=256)(canonical_host)  # asked twice a connection


class Enforcement(NamedTuple):
    """What judges connections, and what it keeps between them.

    Attributes:
        judge: Decides.
        paths: Reads the paths.
        live: Accepted connections, under a source that can change.
        tally: Told of each verdict on a connection, if anybody counts.
    """

    judge: HandshakeJudge
    paths: PathReader
    live: LiveConnections
    tally: Callable[[Verdict], object] | None = None


class Admission(NamedTuple):
    """How a connection is to be made.

    Attributes:
        pinning: What admitted it.
        context: The context that the application has.
        host: The canonical host name.
        trust: What vouches for the path. None for an unlisted host whose name is not checked: if
            the policy lists it later, the path counts for nothing.
        trusting: The context whose anchors do.
        is_verified: Whether OpenSSL verifies the path. Where not, only an unlisted host is admitted
            (or one of a pins-only set), and what OpenSSL calls the path was put together by name.
        exceptions: The local exceptions whose anchors are among those of `trusting`.
    """

    pinning: ContextPinning
    context: ssl.SSLContext
    host: str
    trust: Trust | None
    trusting: ssl.SSLContext
    is_verified: bool = True
    exceptions: tuple[LocalException, ...] = ()


class ContextPinning:
    """The pinning of one client context whose verification is sealed."""

    def __init__(
        self,
        enforcement: Enforcement,
        load_public_anchors: Callable[[ssl.SSLContext], object] | None = None,
        named_anchors: tuple[bytes, ...] = (),
    ) -> None:
        """Start with public trust and no client certificate.

        Args:
            enforcement: What judges the connections.
            load_public_anchors: Loads into the context for a host of a local exception what cannot
                be copied from the pinned one: the folder in which it looks anchors up. Must not
                read a disk.
            named_anchors: The public anchors (DER) that the application named, if it did.
        """
        self.enforcement = enforcement
        self._load_public_anchors = load_public_anchors
        self.second_look = SecondLook(named_anchors)
        self.trusts = TrustContexts()
        self.certificate_holder: CertificateHolder | None = None
        self.shows_certificate_early = False

    def passes(self, server_hostname: str | bytes | None, *, server_side: bool) -> bool:  # noqa: ARG002
        """Tell whether a connection is none of this pinning's business.

        Raises:
            PinnedContextError: It cannot be made by such a context.
        """
        if server_side:
            raise PinnedContextError(
                "a PinningContext is for clients",
                hint="make the server's context with PinningContext.for_server(policy)",
            )
        return False

    def note_passed(self, *, server_side: bool) -> None:
        """Note a connection that passes."""

    def note_ungated(self, host: str) -> None:
        """Note a connection that passes over a class without the gate."""

    def name_for(self, server_hostname: str | bytes | None) -> str | None:
        """Return the name that OpenSSL is to be given.

        Raises:
            HostNameError: It is no name.
            PinnedContextError: There is none.
        """
        return canonical_name(server_hostname)

    def must_gate(self, host: str | None) -> bool:  # noqa: ARG002
        """Tell whether a host may only be reached by the gated classes of connections."""
        return True

    def make(
        self,
        admission: Admission,
        create: Callable[[ssl.SSLContext, Any], Any],
        session: Any,
    ) -> Any:
        """Have OpenSSL's object made by the right context, with the session that fits to it."""
        if admission.trust is Trust.PINS_ONLY:
            return create(self.trusts.unverified(admission.context), None)
        return create(admission.context, session)

    def admit(
        self, context: ssl.SSLContext, server_hostname: str | bytes | None, *, blocking: bool
    ) -> Admission:
        """Say under which trust a connection may be made that nothing was sent on yet, or refuse.

        Args:
            context: The context that is to make it.
            server_hostname: The name that OpenSSL is given.
            blocking: Whether the connection is a blocking socket, not a BIO object.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: As `PinningContext.wrap_socket` says.
            PinViolationError: The policy source failed.
        """
        host = canonical_name(server_hostname)
        pin_set, refuses = self.enforcement.judge.rules_for(host)
        self._refuse_early_certificate(host, blocking=blocking and refuses)
        return self._admission(context, host, pin_set)

    def confirm(self, admission: Admission, sslobj: Any) -> None:
        """Check that OpenSSL's object, just born, is what was admitted.

        Only now it is certain which name and which settings count. Both can be changed underneath
        the context's class, as by `ssl.SSLContext.verify_mode.__set__`.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: It is not.
        """
        if not is_sealed(admission.context):
            raise PinnedContextError(
                f"{admission.host}: verification was switched off underneath the pinned context"
            )
        self._confirm_birth(admission, sslobj)

    def load_cert_chain(self, context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        """Load a client certificate, to be shown to servers only whose path is accepted."""
        if not HAS_MESSAGE_CALLBACK:
            # First: a connection that another thread makes meanwhile may have it already.
            self.shows_certificate_early = True
            CContext.load_cert_chain(context, *args, **kwargs)
            return
        holder = self.certificate_holder
        if holder is None:
            holder = CertificateHolder()
            self.trusts.equip(holder.twin)
        holder.complete_chains_from(context)
        holder.twin.load_cert_chain(*args, **kwargs)
        if self.certificate_holder is None:
            self.certificate_holder = holder
            holder.listen(context)
            self.trusts.set_for_private("holder", holder.listen)

    def repeat(self, name: str, apply: Callable[[ssl.SSLContext], object]) -> None:
        """Repeat a setting in all contexts that a connection may be given."""
        self.trusts.set_for_private(name, apply)
        if self.certificate_holder is not None:
            apply(self.certificate_holder.twin)

    def takes_key_log(self, name: object) -> bool:  # noqa: ARG002
        """Tell whether secrets of connections may be written to a file, for debugging."""
        return True

    def may_show_certificate(self, sslobj: Any) -> bool:
        """Tell whether a connection was given the context with the client's certificate."""
        holder = self.certificate_holder
        return holder is not None and holder.is_shown_by(sslobj)

    def _admission(self, context: ssl.SSLContext, host: str, pin_set: PinSet | None) -> Admission:
        trust = pin_set.trust if pin_set else Trust.PUBLIC
        if pin_set is not None and trust is Trust.PRIVATE:
            return Admission(self, context, host, trust, self.trusts.private(pin_set.anchors))
        if exceptions := self.enforcement.judge.exceptions_for(host, pin_set):
            anchors = tuple([one.anchor for one in exceptions])
            trusting = self.trusts.excepted(context, anchors, self._load_public_anchors)
            return Admission(self, context, host, trust, trusting, exceptions=exceptions)
        return Admission(self, context, host, trust, context)

    def _refuse_early_certificate(self, host: str, *, blocking: bool) -> None:
        if blocking and self.shows_certificate_early:
            raise PinnedContextError(
                f"{host}: on a blocking socket the client certificate would leave before the check",
                hint="use an async client, where the connection ends before the certificate leaves",
            )

    def _confirm_birth(self, admission: Admission, sslobj: Any) -> None:
        verifies = not self.trusts.is_unverified(sslobj.context)
        is_as_admitted = verifies is not (admission.trust is Trust.PINS_ONLY)
        if canonical_name(sslobj.server_hostname) != admission.host or not is_as_admitted:
            raise PinnedContextError(
                f"{admission.host}: the connection was not made as it was admitted"
            )


def is_sealed(context: ssl.SSLContext) -> bool:
    """Tell whether a context verifies path and name, and does not renegotiate."""
    return bool(
        _verify_mode_of(context) == _CERT_REQUIRED
        and _checks_hostname(context)
        and _options_of(context) & _NO_RENEGOTIATION
    )


def canonical_name(server_hostname: str | bytes | None) -> str:
    """Return the canonical form of a server's name.

    Raises:
        HostNameError: It is no name.
        PinnedContextError: There is none.
    """
    if not server_hostname:
        raise PinnedContextError(
            "a pinned connection needs the server's name",
            hint="pass server_hostname; nothing is checked without",
        )
    if not isinstance(server_hostname, str):
        server_hostname = bytes(server_hostname).decode("ascii")
    return _canonical_host(server_hostname)


_Adopt = Callable[[ssl.SSLContext], ContextPinning | None]
_adopters: list[_Adopt] = []


def adopt_with(*adopters: _Adopt) -> None:
    """Say how a context is pinned that has no pinning of its own; nothing: not at all."""
    _adopters[:] = adopters


def pinning_of(context: Any) -> ContextPinning | None:
    """Return what pins the connections of a context; None if nothing does."""
    pinning = getattr(context, "_holdfast_pinning", None)
    if pinning is None and _adopters:
        pinning = _adopters[0](context)
    return pinning if isinstance(pinning, ContextPinning) else None
