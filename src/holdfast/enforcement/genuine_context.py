"""The context class that works as `ssl` documents it, and the C type under it.

`truststore.inject_into_ssl()` puts a class of its own under the name `ssl.SSLContext`. The property
setters of the genuine class find their base through that *name* and recurse without end then; the
descriptors of the C type do not.

gevent puts a class there too. Its sockets work over greenlets only, and its contexts keep to
`sslsocket_class`, so that where gevent was first its class is the one to build on.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from holdfast.errors import UnsupportedRuntimeError

__all__ = ["BareContext", "CContext", "CPythonContext", "GenuineContext", "direct"]

CContext: Any = ssl._ssl._SSLContext  # type: ignore[attr-defined]  # noqa: SLF001
_KEEPS_TO_THE_HOOKS = ("ssl", "gevent.ssl")


def _cpython_context() -> type[ssl.SSLContext]:
    """Return CPython's own context class, whatever stands under its name now."""
    for candidate in (ssl.SSLContext, *CContext.__subclasses__()):
        if candidate.__module__ == "ssl":
            return candidate  # type: ignore[no-any-return]
    raise UnsupportedRuntimeError(
        "ssl.SSLContext was replaced and the genuine class is gone",
        hint="import holdfast before the patch",
    )


if TYPE_CHECKING:
    CPythonContext = ssl.SSLContext
    GenuineContext = ssl.SSLContext
else:
    CPythonContext = _cpython_context()
    GenuineContext = (
        ssl.SSLContext if ssl.SSLContext.__module__ in _KEEPS_TO_THE_HOOKS else CPythonContext
    )


class BareContext(GenuineContext):
    """A context that no hook reaches, whatever is put into the class under it later."""

    sslsocket_class = GenuineContext.sslsocket_class
    sslobject_class = GenuineContext.sslobject_class
    wrap_socket = GenuineContext.wrap_socket
    wrap_bio = GenuineContext.wrap_bio
    _wrap_socket = CContext._wrap_socket  # noqa: SLF001
    _wrap_bio = CContext._wrap_bio  # noqa: SLF001
    load_cert_chain = CContext.load_cert_chain
    set_ciphers = CContext.set_ciphers
    set_ecdh_curve = CContext.set_ecdh_curve
    set_alpn_protocols = GenuineContext.set_alpn_protocols
    keylog_filename = CContext.keylog_filename


def direct(name: str) -> Any:
    """Return a property that reads as in `ssl` and writes through the C type."""
    setter = getattr(CContext, name).__set__

    def write(context: ssl.SSLContext, value: int) -> None:
        setter(context, value)

    return property(getattr(GenuineContext, name).fget, write)
