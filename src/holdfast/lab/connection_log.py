"""What a lab server saw, connection by connection: the evidence by which clients are judged.

The server writes from its thread, tests read from theirs: a `Connection` is immutable, and an
update replaces it, so that nobody sees half of one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_BYTES = 64 * 1024  # enough for any test's request; the counters go on


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection, as far as it has come.

    Attributes:
        handshake_completed: The TLS handshake succeeded, seen from the server.
        server_name: The name the client asked for (SNI), however the handshake ended.
        version: The TLS version, such as "TLSv1.3".
        alpn: The application protocol agreed on.
        resumed: The handshake resumed an earlier session.
        client_certificate: The client's leaf as DER.
        application_bytes: How many bytes reached the application: decrypted ones, or, on a server
            without TLS, all.
        received: The first of these bytes, at most `KEPT_BYTES`.
        plain_bytes: How many bytes came in the clear, outside of any TLS record: a dialogue before
            STARTTLS, and whatever a client still sends when it has given up its TLS.
        received_plain: The first of these bytes, at most `KEPT_BYTES`.
        requests: Request or command lines that the built-in dialogues understood.
        prelude: The client could not know better than to talk here: what it sent is no loot, and
            leads up to the attack.
        error: Why the connection failed, in words; None if it did not.
        closed: The connection is over and nothing here will change.
    """

    handshake_completed: bool = False
    server_name: str | None = None
    version: str | None = None
    alpn: str | None = None
    resumed: bool = False
    client_certificate: bytes | None = None
    application_bytes: int = 0
    received: bytes = b""
    plain_bytes: int = 0
    received_plain: bytes = b""
    requests: tuple[str, ...] = ()
    prelude: bool = False
    error: str | None = None
    closed: bool = False


class ConnectionLog:
    """All connections of one server, in the order in which they were accepted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._connections: list[Connection] = []

    @property
    def connections(self) -> tuple[Connection, ...]:
        """A snapshot."""
        with self._changed:
            return tuple(self._connections)

    def open(self) -> Record:
        """Begin a new connection and return what writes about it."""
        with self._changed:
            self._connections.append(Connection())
            self._changed.notify_all()
            return Record(self, len(self._connections) - 1)

    def wait_until(
        self, condition: Callable[[tuple[Connection, ...]], bool], timeout: float
    ) -> tuple[Connection, ...]:
        """Wait until the log meets a condition, and return it.

        Args:
            condition: Called with a snapshot after every change; must not block.
            timeout: Seconds.

        Raises:
            TimeoutError: The log did not get there; the text shows where it stands.
        """
        with self._changed:
            met = self._changed.wait_for(lambda: condition(tuple(self._connections)), timeout)
            if not met:
                raise TimeoutError(f"the server's log is still {self._connections}")
            return tuple(self._connections)

    def change(self, index: int, change: Callable[[Connection], Connection]) -> None:
        """Replace one connection by what `change` makes of it."""
        with self._changed:
            self._connections[index] = change(self._connections[index])
            self._changed.notify_all()


class Record:
    """The pen for one connection of the log."""

    def __init__(self, log: ConnectionLog, index: int) -> None:
        self._log = log
        self._index = index

    def follow(self) -> Record:
        """Begin another entry, for what follows on the same connection under other keys."""
        return self._log.open()

    def update(self, **fields: Any) -> None:  # noqa: ANN401 (fields of `Connection`)
        """Set fields of the connection."""
        self._log.change(self._index, lambda seen: replace(seen, **fields))

    def add_application_bytes(self, data: bytes) -> None:
        """Note what reached the application."""
        self._log.change(
            self._index,
            lambda seen: replace(
                seen,
                application_bytes=seen.application_bytes + len(data),
                received=(seen.received + data)[:KEPT_BYTES],
            ),
        )

    def add_plain_bytes(self, data: bytes) -> None:
        """Note what came in the clear."""
        self._log.change(
            self._index,
            lambda seen: replace(
                seen,
                plain_bytes=seen.plain_bytes + len(data),
                received_plain=(seen.received_plain + data)[:KEPT_BYTES],
            ),
        )

    def add_request(self, line: str) -> None:
        """Note a request or command line."""
        self._log.change(self._index, lambda seen: replace(seen, requests=(*seen.requests, line)))
