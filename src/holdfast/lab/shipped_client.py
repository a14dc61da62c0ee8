"""Attacks a client that was shipped: its host and its pins are fixed, and a proxy comes between.

1. The honest control is an untouched tunnel to the real server. What passes in it is encrypted:
   that the client accepted the server is read off the records that it sent.
2. The attack is the interception, in each form that needs none of the real server's keys: the lab
   has the chain that the server presents, and nothing more.
3. The proxy's port stays the same for the whole run, for devices that are set by hand.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

from cryptography import x509

from holdfast.lab.connection_log import Connection
from holdfast.lab.judgment import Outcome, Result, unfinished
from holdfast.lab.runner import DEFAULT_TIMEOUT, Runner
from holdfast.lab.stage import LOOPBACK, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.lab.attack import Attack
    from holdfast.lab.proxy import ConnectProxy
    from holdfast.lab.relay import Place
    from holdfast.lab.server import LabServer

__all__ = ["HTTPS_PORT", "ShippedClientRunner", "presented_by"]

HTTPS_PORT = 443


class ShippedClientRunner(Runner):
    """Runs a shipped client behind a proxy, one attack at a time."""

    def __init__(
        self,
        command: Sequence[str],
        proxy: ConnectProxy,
        stage: Stage,
        *,
        port: int = HTTPS_PORT,
        upstream: Place | None = None,
        anchors_pem: str = "",
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Bind the client to its proxy.

        Args:
            command: The client; `{proxy}` is the proxy's URL.
            proxy: The proxy, listening.
            stage: A stage around the real server.
            port: The port in the client's URL.
            upstream: Where the real server is; None: where the client looks for it.
            anchors_pem: What the client has to trust to accept the real server.
            timeout: Seconds for one run of the client.

        Raises:
            HoldfastError: There is no such command.
        """
        super().__init__(command, timeout=timeout, anchors_pem=anchors_pem, stage=stage)
        self._proxy = proxy
        self._port = port
        self._upstream = upstream
        self._control: tuple[Outcome, str] | None = None

    @property
    def _trusted_pem(self) -> str:
        return self._stage.rogue.pem

    def _why_not(self, attack: Attack) -> str | None:
        if attack.transport != "https":
            return "an HTTP proxy is no way for it"
        if attack.host(self._stage) != self._stage.host or attack.spelling:
            return "the client's URL is fixed"
        if attack.proxy or attack.environment:
            return "the client has its proxy and its variables"
        if attack.policy or attack.misconfigure:
            return "the client's pins are fixed"
        if attack.holds:
            return f"the lab does not hold {' and '.join(attack.holds)}"
        if attack.follows:
            return "the lab does not answer for the real server, so it cannot send the client on"
        return None

    def _judged_control(self, attack: Attack) -> Result | None:
        if self._control is None:
            self._control = self._untouched()
        outcome, detail = self._control
        accepted = outcome is Outcome.CAUGHT
        return None if accepted else Result(attack=attack, outcome=outcome, detail=detail)

    def _untouched(self) -> tuple[Outcome, str]:
        """Run the client through an untouched tunnel; CAUGHT says that it accepted the server."""
        self._proxy.forget()
        self._proxy.target = self._upstream
        ending = self._command.run(self._fixed_values(), self._folder / "control")
        tunnels = self._proxy.to_host()
        if not tunnels:
            detail = f"the client asked the proxy for no tunnel to {self._stage.host}"
            return Outcome.NOT_APPLICABLE, detail
        if failure := unfinished(ending):
            return failure[0], f"untouched tunnel: {failure[1]}"
        if any(tunnel.carried_data for tunnel in tunnels):
            return Outcome.CAUGHT, ""
        said = f"; the client said: {ending.last_line}" if ending.last_line else ""
        return Outcome.REFUSED_HONEST, f"the untouched tunnel carried no request{said}"

    @contextlib.contextmanager
    def _way_to(self, server: LabServer) -> Iterator[None]:
        self._proxy.forget()
        self._proxy.target = LOOPBACK, server.port
        try:
            yield
        finally:
            self._proxy.target = self._upstream

    def _connections(self, server: LabServer) -> tuple[Connection, ...]:
        """Return what the server saw, and what the proxy got in the clear, which is loot too."""
        lines = (line.encode("utf-8") for line in self._proxy.in_the_clear)
        leaks = [Connection(plain_bytes=len(line), received_plain=line) for line in lines]
        return (*server.connections, *leaks)

    def _values(
        self, _attack: Attack, _stage: Stage, _server: LabServer, _host: str
    ) -> dict[str, str]:
        return self._fixed_values()

    def _fixed_values(self) -> dict[str, str]:
        host, port = self._stage.host, self._port
        return {
            "url": f"https://{host}/" if port == HTTPS_PORT else f"https://{host}:{port}/",
            "host": host,
            "port": str(port),
            "proxy": self._proxy.url,
            "anchors": str(self._anchors),
            "client_certificate": str(self._client_certificate),
        }


def presented_by(place: Place, host: str, timeout: float) -> list[x509.Certificate]:
    """Return what a server presents for a name, leaf first, verified by nobody.

    Args:
        place: Where the server is.
        host: The name to ask it for.
        timeout: Seconds.

    Raises:
        OSError: The server cannot be reached, or the handshake fails.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(place, timeout) as tcp,
        context.wrap_socket(tcp, server_hostname=host) as tls,
    ):
        # Public from Python 3.13 on, where it gives DER.
        connection: Any = tls
        chain = connection._sslobj.get_unverified_chain()  # noqa: SLF001
    return [x509.load_pem_x509_certificate(one.public_bytes().encode("ascii")) for one in chain]
