"""The methods of `ssl.SSLContext` through which a connection comes to be pinned.

A `PinningContext` has them for life. While enforcement is process-wide they stand in the stock
class too, for contexts that somebody else makes. They call what is under them by its own name, and
not by `super()`, since that may be themselves.
"""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING, Any, NoReturn

from holdfast.enforcement.client_certificate import gate_of
from holdfast.enforcement.context_pinning import pinning_of
from holdfast.enforcement.gate import Gate, as_stock
from holdfast.enforcement.genuine_context import CContext, GenuineContext
from holdfast.errors import PinnedContextError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

__all__ = ["PinnedMethods"]

_stock_wrap_socket = GenuineContext.wrap_socket
_stock_wrap_bio = GenuineContext.wrap_bio
_stock_set_alpn_protocols = GenuineContext.set_alpn_protocols


class PinnedMethods:
    """Mixed in front of `ssl.SSLContext`."""

    _holdfast_pinning: Any

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
        wrap: Callable[..., ssl.SSLSocket] = functools.partial(
            _stock_wrap_socket,
            self,  # type: ignore[arg-type]  # an SSLContext, once it is mixed in
            sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            session=session,
        )
        pinning = pinning_of(self)
        if pinning is None or pinning.passes(server_hostname, server_side=server_side):
            return as_stock(wrap(server_hostname=server_hostname))
        name = pinning.name_for(server_hostname)
        if type(sock).__module__.startswith("eventlet.") and pinning.must_gate(name):
            raise PinnedContextError(
                "eventlet makes connections in a way of its own, which cannot be pinned",
                hint="use asyncio, trio or gevent, or do not patch socket",
            )
        wrapped = wrap(server_hostname=name)
        if not isinstance(wrapped, Gate) and pinning.must_gate(name):
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
        wrap: Callable[..., ssl.SSLObject] = functools.partial(
            _stock_wrap_bio,
            self,  # type: ignore[arg-type]  # as above
            incoming,
            outgoing,
            server_side=server_side,
            session=session,
        )
        pinning = pinning_of(self)
        if pinning is None or pinning.passes(server_hostname, server_side=server_side):
            return as_stock(wrap(server_hostname=server_hostname))
        name = pinning.name_for(server_hostname)
        wrapped = wrap(server_hostname=name)
        if isinstance(wrapped, Gate):
            wrapped._holdfast_outgoing = outgoing  # noqa: SLF001  part of the gate
        elif pinning.must_gate(name):
            _refuse_patched(wrapped)
        return wrapped

    def load_cert_chain(self, *args: Any, **kwargs: Any) -> None:
        """Load a client certificate, which is shown to those servers only whose path is accepted.

        On a Python without the private callback that this takes, blocking connections are refused
        once a certificate is loaded: to the hosts of enforced sets, and to unlisted ones where the
        policy refuses those.
        """
        pinning = pinning_of(self)
        if pinning is None:
            CContext.load_cert_chain(self, *args, **kwargs)
        else:
            pinning.load_cert_chain(self, *args, **kwargs)  # type: ignore[arg-type]

    def set_ciphers(self, ciphers: str) -> None:
        """Choose ciphers and the security level, for private sets and the certificate too."""
        CContext.set_ciphers(self, ciphers)
        if (pinning := pinning_of(self)) is not None:
            pinning.repeat("ciphers", lambda context: context.set_ciphers(ciphers))

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Choose application protocols, for the hosts of pins-only sets too."""
        protocols = list(alpn_protocols)
        _stock_set_alpn_protocols(self, protocols)  # type: ignore[arg-type]
        if (pinning := pinning_of(self)) is not None:
            pinning.trusts.set_for_unverified("set_alpn_protocols", protocols)

    def set_ecdh_curve(self, name: str) -> None:
        """Choose a group for the key exchange, for the hosts of pins-only sets too."""
        CContext.set_ecdh_curve(self, name)
        if (pinning := pinning_of(self)) is not None:
            pinning.trusts.set_for_unverified("set_ecdh_curve", name)

    @property
    def keylog_filename(self) -> str:
        """The file that TLS secrets are written to, for debugging."""
        return CContext.keylog_filename.__get__(self)  # type: ignore[no-any-return]

    @keylog_filename.setter
    def keylog_filename(self, name: str) -> None:
        pinning = pinning_of(self)
        if pinning is not None and not pinning.takes_key_log(name):
            return
        write = CContext.keylog_filename.__set__
        write(self, name)
        if pinning is not None:
            pinning.repeat("keylog", lambda context: write(context, name))

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
        def create(maker: ssl.SSLContext, session: Any) -> Any:
            return CContext._wrap_socket(  # noqa: SLF001
                maker, sock, server_side, server_hostname, owner=owner, session=session
            )

        return _born(self, create, owner, server_hostname, session, server_side, blocking=True)

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
        def create(maker: ssl.SSLContext, session: Any) -> Any:
            return CContext._wrap_bio(  # noqa: SLF001
                maker,
                incoming,
                outgoing,
                server_side,
                server_hostname,
                owner=owner,
                session=session,
            )

        return _born(self, create, owner, server_hostname, session, server_side, blocking=False)


def _born(
    context: Any,
    create: Callable[[ssl.SSLContext, Any], Any],
    owner: Any,
    server_hostname: str | None,
    session: Any,
    server_side: bool,  # noqa: FBT001
    *,
    blocking: bool,
) -> Any:
    """Return OpenSSL's object of a connection, made as its context admits it."""
    pinning, gate = pinning_of(context), gate_of(owner)
    if pinning is None or pinning.passes(server_hostname, server_side=server_side):
        if pinning is not None:
            pinning.note_passed(server_side=server_side)
        if gate is not None:
            as_stock(gate)
        return create(context, session)
    admission = pinning.admit(context, server_hostname, blocking=blocking)
    if gate is not None:
        gate._holdfast_admission = admission  # noqa: SLF001  part of the gate
    elif pinning.must_gate(admission.host):
        _refuse_patched(owner)
    else:
        pinning.note_ungated(admission.host)
    return pinning.make(admission, create, session)


def _refuse_patched(wrapped: object) -> NoReturn:
    kind = type(wrapped)
    raise PinnedContextError(
        f"ssl was patched: a {kind.__module__}.{kind.__name__} would not be pinned",
        hint="import and patch in the order that the library documents, before holdfast",
    )
