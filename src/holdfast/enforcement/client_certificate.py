"""A client's certificate, kept back until the server's path is accepted.

OpenSSL sends the certificate that a context holds when the server has finished its flight, which on
a blocking socket is before anybody outside can look at the path. So the certificate lives in a twin
of the pinned context, and the connection gets the twin at the first message at which its path is
known and accepted: from SERVER_KEY_EXCHANGE (TLS 1.2) or CERTIFICATE_VERIFY (TLS 1.3) on. Which
message that is is not asked by name (OpenSSL 3.6 has one more, CompressedCertificate).

RSA key exchange (TLS 1.2, off by default) has no such message: there a server that has the pinned
certificate and not its key sees the client's certificate, before the handshake fails.

A server may also ask after the handshake (TLS 1.3, `post_handshake_auth`): the accepted connection
has the pinned context by then, and gets the twin again at that request.

The callback that tells of messages is private to CPython. Where it is gone nothing is shown: the
context then takes the certificate itself, and refuses blocking connections that may be refused.
"""

from __future__ import annotations

import ssl
from typing import Any

from holdfast.enforcement.genuine_context import BareContext, CContext

__all__ = ["HAS_MESSAGE_CALLBACK", "CertificateHolder", "gate_of"]

HAS_MESSAGE_CALLBACK = hasattr(CContext, "_msg_callback")
_READ = "read"  # a message that came from the server
_HANDSHAKE, _CERTIFICATE_REQUEST = 22, 13  # RFC 8446 section 5.1 and appendix B.3


class CertificateHolder:
    """The twin of a pinned context that has the client's certificate."""

    def __init__(self) -> None:
        """Make an empty twin."""
        self.twin = BareContext(ssl.PROTOCOL_TLS_CLIENT)
        self.shows_to_ungated = False  # where a connection without the gate may be let pass

    def listen(self, context: ssl.SSLContext) -> None:
        """Have the connections of a context told of each message that a server sends.

        They are asked to `_holdfast_on_message`, with whether it asks for the certificate.
        """

        def relay(
            connection: Any,
            direction: str,
            _version: int,
            kind: int,
            message: int,
            _data: bytes,
        ) -> None:
            gate = gate_of(connection)
            if direction != _READ:
                return
            if gate is not None:
                asks = (kind, message) == (_HANDSHAKE, _CERTIFICATE_REQUEST)
                gate._holdfast_on_message(asks=asks)  # noqa: SLF001  part of the gate
            elif self.shows_to_ungated:
                sslobj = connection._sslobj  # noqa: SLF001
                if sslobj.get_verified_chain():  # the anchors are those of the context until then
                    sslobj.context = self.twin

        CContext._msg_callback.__set__(context, relay)  # noqa: SLF001

    def complete_chains_from(self, context: ssl.SSLContext) -> None:
        """Give the twin the CAs of a context, by which OpenSSL completes the chain that is shown.

        They vouch for nobody there: the server is verified before a connection gets the twin.
        """
        if context.cert_store_stats()["x509_ca"] != self.twin.cert_store_stats()["x509_ca"]:
            self.twin.load_verify_locations(cadata=b"".join(context.get_ca_certs(binary_form=True)))

    def show(self, sslobj: Any) -> None:
        """Let a connection show the certificate, if the server asks for it."""
        sslobj.context = self.twin

    def is_shown_by(self, sslobj: Any) -> bool:
        """Tell whether a connection may show the certificate."""
        return sslobj.context is self.twin


def gate_of(owner: Any) -> Any:
    """Return the gated connection that OpenSSL's object belongs to, or None.

    gevent gives OpenSSL a socket of its own, which knows the connection.
    """
    if hasattr(owner, "_holdfast_on_message"):
        return owner
    connection = getattr(owner, "_sslsock", lambda: None)()
    return connection if hasattr(connection, "_holdfast_on_message") else None
