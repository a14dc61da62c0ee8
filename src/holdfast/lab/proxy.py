"""An HTTP proxy for clients whose host is fixed. It knows CONNECT (RFC 9110 section 9.3.6) alone.

Tunnels to the host under attack lead to where the lab says, or untouched to the real server; all
others go through untouched. What passes in an untouched tunnel is encrypted: its record headers
alone tell how far a client went.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.lab.relay import Relay, pass_on
from holdfast.lab.server_stream import RecordFraming
from holdfast.lab.stage import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConnectProxy", "Tunnel"]

_HEAD_LIMIT = 64 * 1024
_HEAD_SECONDS = 10.0
_APPLICATION_DATA = 23
# An alert in TLS 1.3 has two bytes, one for its type and a tag of 16 (RFC 8446 section 5.2).
_SEALED_ALERT = 19


@dataclass(slots=True)
class Tunnel:
    """One CONNECT.

    Attributes:
        host: The host that was asked for, as it was written.
        port: Its port.
        sent: What the client sent, record by record.
        received: What it received.
    """

    host: str
    port: int
    sent: RecordFraming = field(default_factory=RecordFraming)
    received: RecordFraming = field(default_factory=RecordFraming)

    @property
    def carried_data(self) -> bool:
        """Whether the client sent application data, as far as can be seen from outside.

        On TLS 1.3 the end of its handshake looks like that too: there the second record counts.
        """
        sealed = [
            length
            for kind, length in self.sent.records
            if kind == _APPLICATION_DATA and length > _SEALED_ALERT
        ]
        # Before TLS 1.3 a client sends more than its hello in the clear: its key share.
        hellos = sum(kind == 22 for kind, _ in self.sent.records)
        return len(sealed) > (0 if hellos > 1 else 1)


class ConnectProxy(Relay):
    """Listens until it is closed.

    Attributes:
        target: Where tunnels to the host under attack lead; None: to where the client wants.
        tunnels: All of them, in the order of their requests.
        in_the_clear: Request lines for an http:// URL of the host under attack.
    """

    def __init__(
        self, host: str, authority_pem: str, *, address: str = LOOPBACK, port: int = 0
    ) -> None:
        """Begin to listen.

        Args:
            host: The host under attack.
            authority_pem: The attacker's CA, which whoever asks the proxy itself for a page gets,
                so that it can be installed on a device.
            address: The address to listen on.
            port: The port; 0 takes a free one.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._host = host
        self._authority = authority_pem.encode("ascii")
        self.tunnels: list[Tunnel] = []
        self.in_the_clear: list[str] = []
        super().__init__(address=address, port=port)

    @property
    def url(self) -> str:
        """What to set as proxy."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"

    def to_host(self) -> Sequence[Tunnel]:
        """Return the tunnels to the host under attack."""
        return [tunnel for tunnel in self.tunnels if self._is_host(tunnel.host)]

    def forget(self) -> None:
        """Start anew with what was seen."""
        self.tunnels, self.in_the_clear = [], []

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request: a tunnel, the CA's certificate, or a refusal."""
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        request = head.partition(b"\r\n")[0].decode("latin-1")
        method, _, rest = request.partition(" ")
        target = rest.partition(" ")[0]
        if method != "CONNECT":
            await self._answer(writer, request, target)
            return
        host, _, port = target.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isdecimal():
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return
        tunnel = Tunnel(host, int(port))
        place = (self._is_host(host) and self.target) or (host, int(port))
        self.tunnels.append(tunnel)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await pass_on(
            reader,
            writer,
            place,
            note_up=tunnel.sent.outside,
            note_down=tunnel.received.outside,
        )

    async def _answer(self, writer: asyncio.StreamWriter, request: str, target: str) -> None:
        if target.startswith("/"):
            status, body = "200 OK", self._authority
        else:
            if self._is_host(urlsplit(target).hostname or ""):
                self.in_the_clear.append(request)
            status, body = "403 Forbidden", b""
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/x-x509-ca-cert\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()

    def _is_host(self, host: str) -> bool:
        return host.lower().removesuffix(".") == self._host.lower()
