"""`PinningContext`: an `ssl.SSLContext` that judges each verified path by a policy.

1. Verification is sealed: CERT_REQUIRED and the name check cannot be switched off, renegotiation
   stays off.
2. The base is the genuine `ssl.SSLContext`, also after `truststore.inject_into_ssl()`, whose
   replacement ignores the hooks that this builds on (`sslsocket_class`, `sslobject_class`;
   documented since Python 3.7).
3. Whatever was patched, no connection without the gate leaves `wrap_socket` or `wrap_bio`.
4. One canonical host name drives SNI, the certificate's name check and the pin look-up. No name, no
   connection: before Python 3.14 `wrap_bio` without one skips the name check silently
   (CVE-2026-19553).
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.client_certificate import HAS_MESSAGE_CALLBACK, CertificateHolder
from holdfast.enforcement.gate import Gate
from holdfast.enforcement.genuine_context import CContext, GenuineContext, direct
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.pinned_connections import ClassHook, PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.trust_contexts import TrustContexts
from holdfast.enforcement.verified_path import PathReader
from holdfast.errors import PinnedContextError, TrustStoreError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.pin_set import Trust
from holdfast.pins.policy import Policy

_verify_mode_of = CContext.verify_mode.__get__
_checks_hostname = CContext.check_hostname.__get__
_options_of = CContext.options.__get__
_NO_RENEGOTIATION = int(ssl.OP_NO_RENEGOTIATION)
_CERT_REQUIRED = int(ssl.CERT_REQUIRED)
_canonical_host = functools.lru_cache(maxsize=256)(canonical_host)  # asked twice a connection


class Admission(NamedTuple):
    """How a connection is to be made.

    Attributes:
        context: The pinned context.
        host: The canonical host name.
        trust: What vouches for the path.
        trusting: The context whose anchors do.
    """

    context: PinningContext
    host: str
    trust: Trust
    trusting: ssl.SSLContext


class PinningContext(GenuineContext):
    """A TLS client context that talks only to servers whose verified path satisfies the policy.

    It *is* an `ssl.SSLContext`: what takes one is pinned by it, blocking and async. A refused
    connection raises `PinViolationError`, tells the sink, and is over. A context alone cannot stop
    `http://` or a redirect elsewhere.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        public_anchors: A PEM file of trust anchors to use instead of the platform's store.

    Raises:
        TrustStoreError: There are no trust anchors.
    """

    sslsocket_class = ClassHook(PinnedSSLSocket)
    sslobject_class = ClassHook(PinnedSSLObject)
    verify_flags = direct("verify_flags")
    minimum_version = direct("minimum_version")
    maximum_version = direct("maximum_version")

    def __new__(
        cls,
        source: PolicySource,  # noqa: ARG004  __init__ takes them
        *,
        sink: ViolationSink | None = None,  # noqa: ARG004
        public_anchors: str | os.PathLike[str] | None = None,  # noqa: ARG004
    ) -> Self:
        """Make the underlying context; everything else is set up afterwards."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
    ) -> None:
        """Bind the policy source and load the trust anchors."""
        if not isinstance(getattr(source, "current", lambda: None)(), Policy):
            raise TypeError(
                "a PinningContext takes a policy: holdfast.load_policy(path) or a PolicySource"
            )
        anchors = () if public_anchors is None else load_anchors(public_anchors)
        self.judge = HandshakeJudge(
            source, LogSink() if sink is None else sink, named_anchors=anchors
        )
        self.paths = PathReader()
        self.live = LiveConnections(source)
        self._trusts = TrustContexts()
        self.certificate_holder: CertificateHolder | None = None
        self._shows_certificate_early = False
        self.options = self.options
        if sys.version_info >= (3, 13):  # what create_default_context() does there
            self.verify_flags |= ssl.VERIFY_X509_STRICT
        if anchors:
            self.load_verify_locations(cadata=b"".join(anchors))
        else:
            _load_platform_anchors(self)

    @property
    def options(self) -> ssl.Options:
        """The protocol options. Renegotiation stays off: it could bring another certificate."""
        return ssl.Options(_options_of(self))

    @options.setter
    def options(self, value: int) -> None:
        CContext.options.__set__(self, value | ssl.OP_NO_RENEGOTIATION)

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """Always CERT_REQUIRED: without verification a CA pin means nothing."""
        return ssl.VerifyMode(_verify_mode_of(self))

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        if value != ssl.CERT_REQUIRED:
            raise PinnedContextError(
                "a pinned context always verifies certificates",
                hint="remove verify=False or CERT_NONE",
            )

    @property
    def check_hostname(self) -> bool:
        """Always True."""
        return bool(_checks_hostname(self))

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        if not value:
            raise PinnedContextError(
                "a pinned context always checks the host name",
                hint="remove check_hostname=False or assert_hostname",
            )

    @property
    def keylog_filename(self) -> str:
        """The file that TLS secrets are written to, for debugging."""
        return CContext.keylog_filename.__get__(self)  # type: ignore[no-any-return]

    @keylog_filename.setter
    def keylog_filename(self, name: str) -> None:
        write = CContext.keylog_filename.__set__
        write(self, name)
        self._repeat("keylog", lambda context: write(context, name))

    def load_cert_chain(self, *args: Any, **kwargs: Any) -> None:
        """Load a client certificate, which is shown to those servers only whose path is accepted.

        On a Python without the private callback that this takes, blocking connections are refused
        once a certificate is loaded: to the hosts of enforced sets, and to unlisted ones where the
        policy refuses those.
        """
        if not HAS_MESSAGE_CALLBACK:
            # First: a connection that another thread makes meanwhile may have it already.
            self._shows_certificate_early = True
            super().load_cert_chain(*args, **kwargs)
            return
        holder = self.certificate_holder
        if holder is None:
            holder = CertificateHolder()
            self._trusts.equip(holder.twin)
        holder.complete_chains_from(self)
        holder.twin.load_cert_chain(*args, **kwargs)
        if self.certificate_holder is None:
            self.certificate_holder = holder
            holder.listen(self, _judge_early)
            self._trusts.set_for_private("holder", lambda one: holder.listen(one, _judge_early))

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,  # noqa: FBT001, FBT002  the signature is ssl's
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002
        suppress_ragged_eofs: bool = True,  # noqa: FBT001, FBT002
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Wrap a socket for a named host. One that is not connected yet is judged by `connect()`.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: There is no name, or the host's rules cannot be held here.
            PinViolationError: The handshake took place and the connection is refused.
        """
        host = _named(server_hostname, server_side=server_side)
        wrapped = super().wrap_socket(
            sock,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=host,
            session=session,
        )
        if not isinstance(wrapped, Gate):
            wrapped.close()
            _refuse_patched(wrapped)
        return wrapped

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  the signature is ssl's
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap a pair of BIOs for a named host. Raises as `wrap_socket` does."""
        host = _named(server_hostname, server_side=server_side)
        wrapped = super().wrap_bio(incoming, outgoing, server_hostname=host, session=session)
        if not isinstance(wrapped, Gate):
            _refuse_patched(wrapped)
        wrapped._holdfast_outgoing = outgoing  # noqa: SLF001  part of the gate
        return wrapped

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled: the copy would not be pinned."""
        raise TypeError("a pinned context cannot be copied or pickled")

    def set_ciphers(self, ciphers: str) -> None:
        """Choose ciphers and the security level, for private sets and the certificate too."""
        super().set_ciphers(ciphers)
        self._repeat("ciphers", lambda context: context.set_ciphers(ciphers))

    def _repeat(self, name: str, apply: Callable[[ssl.SSLContext], object]) -> None:
        """Repeat a setting in all contexts that a connection may be given."""
        self._trusts.set_for_private(name, apply)
        if self.certificate_holder is not None:
            apply(self.certificate_holder.twin)

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Choose application protocols, for the hosts of pins-only sets too."""
        protocols = list(alpn_protocols)
        super().set_alpn_protocols(protocols)
        self._trusts.set_for_unverified("set_alpn_protocols", protocols)

    def set_ecdh_curve(self, name: str) -> None:
        """Choose a group for the key exchange, for the hosts of pins-only sets too."""
        super().set_ecdh_curve(name)
        self._trusts.set_for_unverified("set_ecdh_curve", name)

    # What `ssl` makes connections with; private to CPython, and where it is not called the gate
    # asks for admission itself, so that only hosts of pins-only sets cannot be reached then.

    def _wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool,  # noqa: FBT001
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        maker, session = self._maker(server_hostname, owner, session, blocking=True)
        return maker._wrap_socket(  # noqa: SLF001
            sock, server_side, server_hostname, owner=owner, session=session
        )

    def _wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool,  # noqa: FBT001
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        maker, session = self._maker(server_hostname, owner, session, blocking=False)
        return maker._wrap_bio(  # noqa: SLF001
            incoming, outgoing, server_side, server_hostname, owner=owner, session=session
        )

    def _maker(
        self, server_hostname: str | None, owner: Any, session: Any, *, blocking: bool
    ) -> tuple[Any, Any]:
        """Return what makes the connection of a host, and the session that fits to it."""
        admission = self.admit(server_hostname, blocking=blocking)
        if isinstance(owner, Gate):
            owner._holdfast_admission = admission  # noqa: SLF001  part of the gate
            if admission.trust is Trust.PINS_ONLY:
                return self._trusts.unverified(self), None
        return super(), session

    def admit(self, server_hostname: str | None, *, blocking: bool) -> Admission:
        """Say under which trust a connection may be made that nothing was sent on yet, or refuse.

        Args:
            server_hostname: The name that OpenSSL is given.
            blocking: Whether the connection is a blocking socket, not a BIO object.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: As `wrap_socket` says.
            PinViolationError: The policy source failed.
        """
        host = _named(server_hostname)
        pin_set, refuses = self.judge.rules_for(host)
        if blocking and refuses and self._shows_certificate_early:
            raise PinnedContextError(
                f"{host}: on a blocking socket the client certificate would leave before the check",
                hint="use an async client, where the connection ends before the certificate leaves",
            )
        trust = pin_set.trust if pin_set else Trust.PUBLIC
        if pin_set is not None and trust is Trust.PRIVATE:
            return Admission(self, host, trust, self._trusts.private(pin_set.anchors))
        return Admission(self, host, trust, self)

    def confirm(self, admission: Admission, sslobj: Any) -> None:
        """Check that OpenSSL's object, just born, is what was admitted.

        Only now it is certain which name and which settings count. Both can be changed underneath
        this class, as by `ssl.SSLContext.verify_mode.__set__`.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: It is not.
        """
        host = _named(sslobj.server_hostname)
        if not (
            _verify_mode_of(self) == _CERT_REQUIRED
            and _checks_hostname(self)
            and _options_of(self) & _NO_RENEGOTIATION
        ):
            raise PinnedContextError(
                f"{host}: verification was switched off underneath the pinned context"
            )
        verifies = not self._trusts.is_unverified(sslobj.context)
        if host != admission.host or verifies is (admission.trust is Trust.PINS_ONLY):
            raise PinnedContextError(f"{host}: the connection was not made as it was admitted")


def _judge_early(connection: Any, asks: bool) -> None:  # noqa: FBT001
    if isinstance(connection, Gate):
        connection._holdfast_on_message(asks=asks)  # noqa: SLF001  part of the gate


def _named(server_hostname: str | bytes | None, *, server_side: bool = False) -> str:
    """Return the canonical form of a server's name."""
    if server_side:
        raise PinnedContextError(
            "a PinningContext is for clients", hint="make the server's context with ssl"
        )
    if not server_hostname:
        raise PinnedContextError(
            "a pinned connection needs the server's name",
            hint="pass server_hostname; nothing is checked without",
        )
    if not isinstance(server_hostname, str):
        server_hostname = bytes(server_hostname).decode("ascii")
    return _canonical_host(server_hostname)


def _load_platform_anchors(context: ssl.SSLContext) -> None:
    """Load the platform's trust store; refuse an empty one, which could not say why it fails."""
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if context.cert_store_stats()["x509_ca"] > 0:
        return
    # OpenSSL reads the directory when it looks for an issuer, not before.
    directory: str | None = ssl.get_default_verify_paths().capath
    if directory and any(Path(directory).glob("*.0")):
        return
    raise TrustStoreError(
        "the platform's trust store is empty",
        hint="install the system's CA certificates, or pass public_anchors=certifi.where()",
    )


def _refuse_patched(wrapped: object) -> NoReturn:
    kind = type(wrapped)
    raise PinnedContextError(
        f"ssl was patched: a {kind.__module__}.{kind.__name__} would not be pinned",
        hint="import and patch in the order that the library documents, before holdfast",
    )
