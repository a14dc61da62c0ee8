"""The gated classes that a pinned context's `wrap_socket` and `wrap_bio` return.

A socket has more ways out than a BIO object: each of its own I/O methods, and plain text once its
TLS layer is gone. All of them are closed here.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from errno import EPIPE
from typing import Any

from holdfast.enforcement.gate import SOCKET_IO, Gate, State, unjudged_class


class PinnedSSLObject(Gate, ssl.SSLObject):
    """What a pinned context's `wrap_bio` returns."""


class PinnedSSLSocket(Gate, ssl.SSLSocket):
    """What a pinned context's `wrap_socket` returns."""

    def shutdown(self, how: int) -> None:
        """Shut TCP down. Python drops the TLS layer here, so nothing is sent any more.

        Whatever `how` says: without the TLS layer it could only be plain text.
        """
        if self._holdfast_state is State.ACCEPTED:
            self._holdfast_state = State.SHUT_DOWN
            self.__class__ = unjudged_class(type(self))
        try:
            super().shutdown(how)
        finally:
            if self._holdfast_state is not State.UNWRAPPED:
                with contextlib.suppress(OSError):  # shut down already
                    socket.socket.shutdown(self, socket.SHUT_WR)

    def _open_gate(self) -> None:
        """Let I/O through over an accepted TLS layer, or after unwrap()."""
        state = self._holdfast_state
        if state is State.UNJUDGED and self.__dict__.get("_sslobj") is None:
            self.getpeername()  # an unconnected socket says so itself
            state = State.SHUT_DOWN
        if state is State.SHUT_DOWN:
            raise BrokenPipeError(EPIPE, "the TLS layer is gone; nothing is sent in plain text")
        super()._open_gate()


def _gated(name: str) -> Any:
    """Return the stock method of this name, behind the gate."""
    stock = getattr(ssl.SSLSocket, name)

    @functools.wraps(stock)
    def method(self: PinnedSSLSocket, *args: Any, **kwargs: Any) -> Any:
        self._open_gate()
        return getattr(super(PinnedSSLSocket, self), name)(*args, **kwargs)

    return method


for _name in SOCKET_IO:
    setattr(PinnedSSLSocket, _name, _gated(_name))


@functools.cache
def composed_class(pinned: type, wanted: type) -> type:
    """Return `wanted` with the gate in front of it."""
    if issubclass(wanted, pinned):
        return wanted
    return type(wanted.__name__, (pinned, wanted), {"_holdfast_wanted": wanted})


class ClassHook:
    """A descriptor for `sslsocket_class` and `sslobject_class`: an assigned class gets the gate.

    pymongo assigns `sslobject_class` and never restores it; a plain class attribute would be
    replaced. What was assigned stays under the attribute's own name, so that it counts whether the
    hook was there before it or not, and after the hook is gone.
    """

    def __init__(self, name: str, pinned: type) -> None:
        self._name = name
        self._pinned = pinned

    def __get__(self, context: ssl.SSLContext | None, _: type | None = None) -> type:
        wanted = None if context is None else context.__dict__.get(self._name)
        return self._pinned if wanted is None else composed_class(self._pinned, wanted)

    def __set__(self, context: ssl.SSLContext, wanted: type) -> None:
        if wanted is self._pinned:  # put back by who has asked for it before
            context.__dict__.pop(self._name, None)
        else:
            context.__dict__[self._name] = wanted.__dict__.get("_holdfast_wanted", wanted)
