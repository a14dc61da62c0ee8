"""A server on loopback that serves a client under test and logs what it saw.

It runs in a thread of its own with its own event loop, so that blocking and async clients can be
tested alike, and many servers can run in one process.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Literal, Self

from holdfast.lab.connection_log import Connection, ConnectionLog
from holdfast.lab.dialogues import Dialogue, http_dialogue, imap_dialogue, smtp_dialogue
from holdfast.lab.loop_thread import LoopThread
from holdfast.lab.server_stream import RecordingObject, ServerStream, note_server_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from holdfast.lab.authorities import Authority, Identity
    from holdfast.lab.connection_log import Record

__all__ = ["Connection", "Dialogue", "LabServer", "ServerStream"]

_BACKLOG = 256


class LabServer:
    """An HTTP/1.1, SMTP or other server on loopback, with TLS or without.

    Use it as a context manager. `connections` is the evidence: what the server saw, whatever the
    client under test says about itself.
    """

    def __init__(  # noqa: PLR0913 (keywords, each a setting of its own)
        self,
        identity: Identity | None,
        *,
        name: str = "localhost",
        address: str = "127.0.0.1",
        minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        maximum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        client_anchors: Sequence[Authority] = (),
        require_client_certificate: bool = True,
        asks_later: bool = False,
        alpn: Sequence[str] = (),
        body: bytes = b"hello from the lab\n",
        redirects: Mapping[str, str] | None = None,
        dialogue: Dialogue | None = None,
        starttls: Literal["smtp", "imap"] | Dialogue | None = None,
        handshake_timeout: float = 10.0,
        linger: float = 1.0,
    ) -> None:
        """Describe a server; it listens from `start` to `close`.

        Args:
            identity: The key and chain to show; None for a server without TLS.
            name: The host name in `url`; it has to lead to `address`.
            address: The loopback address to listen on.
            minimum_version: The oldest TLS version to speak.
            maximum_version: The newest TLS version to speak.
            client_anchors: Ask for a client certificate that leads to one of these.
            require_client_certificate: Refuse clients that show none when asked.
            asks_later: Do not ask in the handshake, but when the dialogue does.
            alpn: Application protocols to offer, the preferred one first.
            body: What HTTP requests are answered with.
            redirects: From paths to the locations that HTTP clients are sent to instead.
            dialogue: What to say once connected (over TLS), instead of HTTP.
            starttls: Begin in the clear: "smtp" and "imap" speak that; a dialogue of your own calls
                `ServerStream.start_tls` when the time has come.
            handshake_timeout: Seconds that a client has for a handshake when connecting.
            linger: Seconds to listen at most to a client with which the server has finished.

        Raises:
            ValueError: The options contradict each other.
        """
        if starttls and identity is None:
            raise ValueError("starttls needs an identity: pass the one to show after STARTTLS")
        if starttls and dialogue:
            raise ValueError(
                "starttls is a dialogue that begins in the clear: pass only one of two"
            )
        if not ipaddress.ip_address(address).is_loopback:
            raise ValueError(f"the lab listens on loopback only, not on {address}")

        def context_for(shown: Identity) -> ssl.SSLContext:
            context = shown.server_context(
                minimum_version=minimum_version,
                maximum_version=maximum_version,
                client_anchors=client_anchors,
                require_client_certificate=require_client_certificate,
                alpn=alpn,
            )
            context.post_handshake_auth = asks_later
            context.sslobject_class = RecordingObject
            context.sni_callback = note_server_name
            return context

        self._context_for = context_for
        # All of them stay referenced: connections made under an old one go on (CVE-2026-19445).
        self._contexts = [context_for(identity)] if identity else []
        self._dialogue = dialogue or http_dialogue(body, redirects or {})
        if starttls:
            known = {"smtp": smtp_dialogue, "imap": imap_dialogue}
            self._dialogue = known[starttls] if isinstance(starttls, str) else starttls
        self._tls_first = bool(self._contexts) and not starttls
        self._name, self._address = name, address
        self._handshake_timeout, self._linger = handshake_timeout, linger
        self._log = ConnectionLog()
        self._port: int | None = None
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        """Start listening."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and drop what is still open."""
        self.close()

    def start(self) -> None:
        """Listen on a free port; clients can connect as soon as this returns.

        Raises:
            RuntimeError: The server was started before.
            OSError: The address cannot be listened on.
        """
        if self._port is not None:
            raise RuntimeError("a lab server starts once: make a new one")
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        listener = socket.create_server((self._address, 0), family=family, backlog=_BACKLOG)
        listener.settimeout(0)
        self._port = listener.getsockname()[1]
        self._thread = LoopThread(self._serve(listener), f"lab server {self._port}")

    def close(self) -> None:
        """Stop listening and drop what is still open, also in mid-handshake; the log stays."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    def switch(self, identity: Identity) -> None:
        """Show another identity from the next handshake on, as after a renewal or a new key.

        Sessions begun under the earlier identity cannot be resumed any more.
        """
        if not self._contexts:
            raise ValueError("this server has no TLS, so it has no identity to switch")
        self._contexts.append(self._context_for(identity))

    @property
    def host(self) -> str:
        """The name to connect to."""
        return self._name

    @property
    def address(self) -> str:
        """The IP address that the server listens on."""
        return self._address

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        if self._port is None:
            raise RuntimeError("the lab server has no port before it is started")
        return self._port

    @property
    def url(self) -> str:
        """The URL of an HTTP server."""
        host = f"[{self._name}]" if ":" in self._name else self._name
        return f"{'https' if self._contexts else 'http'}://{host}:{self.port}"

    @property
    def connections(self) -> tuple[Connection, ...]:
        """What the server has seen so far, in the order in which clients connected."""
        return self._log.connections

    @property
    def application_bytes(self) -> int:
        """How many application bytes all clients together have got through to the server."""
        return sum(connection.application_bytes for connection in self.connections)

    def wait_for(self, closed: int, timeout: float = 5.0) -> tuple[Connection, ...]:
        """Wait until `closed` connections are over, and return all of the log.

        Blocks: call it through `asyncio.to_thread` where the client needs the running loop.

        Args:
            closed: How many.
            timeout: Seconds.

        Raises:
            TimeoutError: They are not; the text shows the log.
        """
        return self.wait_until(lambda seen: sum(one.closed for one in seen) >= closed, timeout)

    def wait_until(
        self, condition: Callable[[tuple[Connection, ...]], bool], timeout: float = 5.0
    ) -> tuple[Connection, ...]:
        """Wait until the log meets a condition, and return it; otherwise as `wait_for`."""
        return self._log.wait_until(condition, timeout)

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            async with asyncio.TaskGroup() as clients:
                loop.add_reader(listener, self._accept, listener, clients)
                try:
                    await loop.create_future()  # until cancelled by `close`
                finally:
                    loop.remove_reader(listener)  # no newcomers while the others are dropped

    def _accept(self, listener: socket.socket, clients: asyncio.TaskGroup) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client has changed its mind
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        record = self._log.open()

        def close(_task: asyncio.Task[None]) -> None:
            connection.close()
            record.update(closed=True)

        # A callback, because a task that is cancelled before its first step runs no `finally`.
        clients.create_task(self.attend(connection, record)).add_done_callback(close)

    async def attend(self, connection: socket.socket, record: Record) -> None:
        """Serve one connection, accepted here or by a server around this one.

        Args:
            connection: The non-blocking socket; it stays the caller's to close.
            record: Where to note what is seen; so is that it is closed.
        """
        context = (lambda: self._contexts[-1]) if self._contexts else None
        stream = ServerStream(connection, record, context)
        try:
            if self._tls_first:
                async with asyncio.timeout(self._handshake_timeout):
                    await stream.start_tls()
            await self._dialogue(stream)
        except Exception as error:  # noqa: BLE001 (whatever went wrong belongs into the log)
            record.update(error=repr(error))
        await stream.finish(self._linger)
        if stream.record is not record:  # the dialogue has begun another entry
            stream.record.update(closed=True)
