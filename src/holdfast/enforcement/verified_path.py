"""The path that OpenSSL verified, as this interpreter hands it out.

CPython's OpenSSL objects have had `get_verified_chain()` since 3.10. It is the method behind the
public one of 3.13, which encodes every certificate on every call; this one returns objects that can
be compared first. Where it is gone the public one is used, and a runtime that has neither is
refused when this module is imported, never trusted.

1. Ask only after success, or in mid-handshake under CERT_REQUIRED: after a *failed* verification
   OpenSSL returns the presented chain here.
2. Under CERT_NONE it is a path built by name although a signature failed. The context seals
   CERT_REQUIRED.
3. A resumed session has none.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from holdfast.errors import UnsupportedRuntimeError

_MEMORY_LIMIT = 256

HAS_PUBLIC_METHOD = hasattr(ssl.SSLSocket, "get_verified_chain") and hasattr(
    ssl.SSLObject, "get_verified_chain"
)


def _encoding_der() -> int | None:
    """Return `_ssl.ENCODING_DER` where the private methods are as CPython has them, else None."""
    implementation: Any = getattr(ssl, "_ssl", None)
    methods = getattr(implementation, "_SSLSocket", None)
    certificate = getattr(implementation, "Certificate", None)
    encoding = getattr(implementation, "ENCODING_DER", None)
    if (
        hasattr(methods, "get_verified_chain")
        and hasattr(methods, "get_unverified_chain")
        and hasattr(certificate, "public_bytes")
        and isinstance(encoding, int)
    ):
        return encoding
    if HAS_PUBLIC_METHOD:
        return None
    raise UnsupportedRuntimeError(
        "this Python gives no access to the path that OpenSSL verified",
        hint="use CPython 3.11 or newer, built with OpenSSL",
    )


_DER = _encoding_der()
HAS_PRIVATE_METHOD = _DER is not None


def verified_path(connection: ssl.SSLSocket | ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the verified path in DER: leaf first, trust anchor last; empty where there is none."""
    return _in_der(_certificates(connection, "get_verified_chain"))


def presented_chain(connection: ssl.SSLSocket | ssl.SSLObject) -> tuple[bytes, ...]:
    """Return what the peer sent, in DER and in its order; empty where nothing is kept."""
    return _in_der(_certificates(connection, "get_unverified_chain"))


class PathReader:
    """Reads verified paths. The certificates that a host showed last are compared, not encoded."""

    def __init__(self) -> None:
        """Start with no host known."""
        self._known: dict[str, tuple[Sequence[object], tuple[bytes, ...]]] = {}

    def read(self, connection: ssl.SSLSocket | ssl.SSLObject, host: str) -> tuple[bytes, ...]:
        """Return what `verified_path` returns, and for equal certificates the same object."""
        certificates = _certificates(connection, "get_verified_chain")
        known = self._known.get(host)
        if known is not None and known[0] == certificates:  # X509_cmp: their digests and bytes
            return known[1]
        path = _in_der(certificates)
        if path:
            if len(self._known) >= _MEMORY_LIMIT:
                self._known.clear()
            self._known[host] = certificates, path
        return path


def _certificates(connection: Any, method: str) -> Sequence[Any]:
    if _DER is None:
        # Python's own: not what stands under that name on the object or in a subclass.
        stock = ssl.SSLSocket if isinstance(connection, ssl.SSLSocket) else ssl.SSLObject
        return tuple(getattr(stock, method)(connection))
    # Past the gate's stand-in, which would cost more than the rest.
    return getattr(vars(connection)["_sslobj"], method)() or ()


def _in_der(certificates: Sequence[Any]) -> tuple[bytes, ...]:
    if _DER is None:
        return tuple(certificates)
    return tuple([certificate.public_bytes(_DER) for certificate in certificates])
