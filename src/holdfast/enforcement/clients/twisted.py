"""Pins for Twisted, whose TLS is pyOpenSSL's.

    agent = Agent(reactor, PinningPolicyForHTTPS(OpenSSLPinning(policy)))

Other clients of Twisted take what makes a connection: `wrapClientTLS(PinningCreator(...), ...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from holdfast.enforcement.clients.pyopenssl import OpenSSLPinning, PinnedConnection

__all__ = ["PinningCreator", "PinningPolicyForHTTPS"]


@implementer(IOpenSSLClientConnectionCreator)
class PinningCreator:
    """Makes the TLS of connections to one host."""

    def __init__(self, pinning: OpenSSLPinning, host: str) -> None:
        """Name the host that is connected to."""
        self._pinning, self._host = pinning, host

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> PinnedConnection:  # noqa: N802, N803  Twisted's names
        """Return the connection of pyOpenSSL for a protocol.

        Raises:
            HostNameError: The host is none.
            PinViolationError: The policy source failed.
        """
        connection = self._pinning.connection(self._host)
        connection.set_app_data(tlsProtocol)
        return connection


@implementer(IPolicyForHTTPS)
class PinningPolicyForHTTPS:
    """What `twisted.web.client.Agent` asks about the TLS of a host."""

    def __init__(self, pinning: OpenSSLPinning) -> None:
        """Judge by the policy of a pinning."""
        self._pinning = pinning

    def creatorForNetloc(self, hostname: bytes, port: int) -> PinningCreator:  # noqa: N802, ARG002  Twisted's name
        """Return what makes the TLS of connections to a host."""
        return PinningCreator(self._pinning, hostname.decode("ascii"))
