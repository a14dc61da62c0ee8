"""Fetching the files of a TUF repository, from an origin or from what is kept; and posting to one.

1. A transfer is over by its deadline, however slowly a server sends headers or body. A read
   timeout alone does not see to that: 5 bytes a second would take 53 minutes. All transfers of a
   refresh have one deadline too: a thousand roots, each just in time, would take hours.
2. No redirect is followed, no content encoding accepted, no failure tried again (except for a
   connection that the server has meanwhile closed), and no proxy of the environment used.
3. Whatever goes wrong is one of python-tuf's download errors.

What is fetched is trusted for its signature alone; that is checked elsewhere.
"""

from __future__ import annotations

import io
import os
import re
import socket
import threading
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient import FetcherInterface
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from holdfast.errors import HostNameError, UpdateError
from holdfast.findings.escape import escaped
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.interfaces import OwnChannel
from holdfast.updates.own_files import create_file, read_file

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse

__all__ = ["METADATA", "NAME", "TARGETS", "KeptMetadata", "OriginFetcher"]

# The folders of a repository, below its origin; to python-tuf they are its base addresses.
METADATA = "metadata/"
TARGETS = "targets/"

_DEADLINE = 20.0  # seconds, for a transfer
_GAP = 5.0  # seconds, for connecting, and between two pieces
_SOON = 0.001  # seconds; 0 would mean not to wait at all
_CHUNK = 16 * 1024  # bytes; python-tuf's own 400 kB are read before it looks at its limit
_SLOWEST = 512 * 1024  # bytes a second, of a large file
_METADATA_LIMIT = 5 * 1024 * 1024  # bytes; each role has a lower one of its own
_TEXT_LIMIT = 200  # characters of an error that someone else chose
_HEADERS = {"accept-encoding": "identity", "user-agent": "holdfast"}
# Hashes in names come from metadata, where they are any text.
NAME = re.compile(r"(?:(?!\.\.?/)[\w.%-]+/)*(?!\.\.?$)[\w.%-]+", re.ASCII)
_SUCCESS = {
    "GET": {HTTPStatus.OK},
    "POST": {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT},
}
_METADATA_NAME = re.compile(r"metadata/(?:([0-9]+)\.)?([\w.%-]+)\.json", re.ASCII)
_PATH = re.compile(r"/(?:[\w.~!$&'()*+,;=:@%-]+/)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Message:
    """What is asked of an origin, or told to it."""

    method: str
    name: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class _InMemory(FetcherInterface):
    """Keeps a file in memory until it is verified, so that no disk has to have room for it."""

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Yield the content of a file, as `FetcherInterface` says.

        Args:
            url: The name of the file below the origin.
            max_length: Bytes.

        Raises:
            DownloadError: It cannot be had, or is longer.
        """
        content = bytearray()
        with closing(self._fetch(url)) as pieces:
            for piece in pieces:
                content += piece
                if len(content) > max_length:
                    raise DownloadLengthMismatchError(f"{url} has more than {max_length} bytes")
        yield io.BytesIO(content)

    @abstractmethod
    def _fetch(self, url: str) -> Generator[bytes, None, None]:
        """Yield the pieces of a file; raise nothing but a DownloadError."""


class KeptMetadata(_InMemory):
    """Answers from a folder of python-tuf's metadata, so that all that is kept can be verified.

    python-tuf takes the timestamp from nowhere else. It asks for the rest where it has found a kept
    file wanting; given the same file again, it says what is wrong with it.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder."""
        self._folder = folder

    def _fetch(self, url: str) -> Generator[bytes, None, None]:
        if match := _METADATA_NAME.fullmatch(url):
            name = f"root_history/{match[1]}.root" if match[2] == "root" else match[2]
            try:
                yield read_file(self._folder / f"{name}.json", _METADATA_LIMIT)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise DownloadError(str(error)) from error
            else:
                return
        raise DownloadHTTPError(f"{url} is not kept", HTTPStatus.NOT_FOUND)


class OriginFetcher(_InMemory):
    """Fetches from one origin, over one connection as long as it lasts. One thread at a time."""

    def __init__(
        self,
        origin: str,
        channel: OwnChannel | None,
        *,
        plain_http: bool = False,
        deadline: float = _DEADLINE,
        gap: float = _GAP,
    ) -> None:
        """Name the origin; it is connected to when the first file is asked for.

        Args:
            origin: The address of the folder that holds `metadata/` and `targets/`.
            channel: The way to an https origin.
            plain_http: Allow an http origin, where anybody can see, hold back and cut off, but not
                change, what is fetched. For tests and networks without a way out.
            deadline: Seconds that a transfer may take from connecting to its last byte.
            gap: Seconds to wait for a connection, and for each piece of an answer.

        Raises:
            UpdateError: The origin is no address of this kind, or the channel to it is missing.
        """
        self.origin = origin
        self._host, self._port, self._path = _parts_of(origin, plain_http=plain_http)
        self._is_plain = origin.lower().startswith("http:")
        if channel is None and not self._is_plain:
            raise UpdateError(f"{origin} cannot be reached", hint="pass a channel to its host")
        self._channel = channel
        self._context: Any = None
        self._deadline, self._gap = deadline, gap
        self._all: _Deadline | None = None
        self._connection: _PlainConnection | _TLSConnection | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let all transfers together take so long, and close the connection after them.

        Args:
            seconds: From now on, whatever is done between the transfers. Only the look-up of the
                origin's name is not cut off by it.
        """
        self._all = _Deadline(seconds, "all transfers together")
        try:
            yield
        finally:
            self._all = None
            self.close()

    def close(self) -> None:
        """Close the connection; the next transfer opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def save(self, name: str, path: Path, length: int) -> None:
        """Write a file as it comes, unverified: one that is too large for memory.

        Args:
            name: Of the file, below the origin.
            path: Where to write it.
            length: The bytes that it should have. It may take longer than another one by a second
                for each 512 KiB of them.

        Raises:
            DownloadError: It cannot be had, or is longer.
            OSError: It cannot be written.
        """
        longer = length / _SLOWEST
        if self._all is not None:
            self._all.ends += longer
        with (
            os.fdopen(create_file(path), "wb") as file,
            closing(self._transfer(_Message("GET", name), self._deadline + longer)) as pieces,
        ):
            for piece in pieces:
                if file.tell() + len(piece) > length:
                    raise DownloadLengthMismatchError(f"{name} has more than {length} bytes")
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def post(self, name: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a body, once; of the answer only the status counts.

        Args:
            name: Where to, below the origin.
            body: The whole body.
            headers: Beside those of each request.

        Raises:
            DownloadError: It cannot be sent, or the status is not of success.
        """
        self.close()  # on a connection that is used again it might have to be sent twice
        with closing(
            self._transfer(_Message("POST", name, body, headers), self._deadline)
        ) as pieces:
            next(pieces, None)

    def _fetch(self, url: str) -> Generator[bytes, None, None]:
        return self._transfer(_Message("GET", url), self._deadline)

    def _transfer(self, message: _Message, seconds: float) -> Generator[bytes, None, None]:
        deadline = _Deadline(seconds, "the transfer")
        if self._all is not None:
            self._all.check()
            deadline = min(deadline, self._all, key=lambda one: one.ends)
        watch = _Watch(deadline)
        is_whole = False
        try:
            watch.start()
            response = self._ask(message, watch)
            while piece := response.read1(_CHUNK, decode_content=False):
                yield piece
            watch.check()
            is_whole = True
        except DownloadError:
            raise
        except Exception as error:
            watch.check()
            text = f"{self.origin}: {escaped(str(error) or type(error).__name__, _TEXT_LIMIT)}"
            kind = (
                SlowRetrievalError
                if isinstance(error, TimeoutError | Urllib3TimeoutError)
                else DownloadError
            )
            raise kind(text) from error
        finally:
            watch.stop()
            if not is_whole:
                self.close()

    def _ask(self, message: _Message, watch: _Watch) -> HTTPResponse:
        """Return the answer, with its body still to come."""
        name = message.name
        if not NAME.fullmatch(name):
            raise DownloadError(f"{escaped(name, _TEXT_LIMIT)} is no name of a file")
        had_connection = self._connection is not None
        try:
            response = self._request(message, watch)
        except ConnectionError:
            if not had_connection:
                raise
            self.close()
            response = self._request(message, watch)
        if response.status not in _SUCCESS[message.method]:
            raise DownloadHTTPError(
                f"{self.origin}: {name}: status {response.status}", response.status
            )
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.strip().lower() != "identity":
            shown = escaped(encoding, _TEXT_LIMIT)
            raise DownloadError(f"{self.origin}: {name}: content encoding {shown}")
        return response

    def _request(self, message: _Message, watch: _Watch) -> HTTPResponse:
        connection = self._connected(watch)
        connection.request(
            message.method,
            f"{self._path}{message.name}",
            body=message.body,
            headers={**_HEADERS, **message.headers},
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()

    def _connected(self, watch: _Watch) -> _PlainConnection | _TLSConnection:
        """Return the connection, a new one where the server has closed it."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            self.close()
            connection = self._connection = self._new_connection()
            connection.ends = watch.deadline.ends
            connection.connect()
        watch.over(connection.sock)
        return connection

    def _new_connection(self) -> _PlainConnection | _TLSConnection:
        if self._is_plain:
            return _PlainConnection(self._host, self._port, timeout=self._gap)
        if self._context is None and self._channel is not None:
            self._context = self._channel.context()
        return _TLSConnection(self._host, self._port, timeout=self._gap, ssl_context=self._context)


class _Deadline:
    """When something has to be over."""

    def __init__(self, seconds: float, what: str) -> None:
        self.ends = monotonic() + seconds
        self._text = f"{what} took more than {seconds:g} s"

    @property
    def left(self) -> float:
        return self.ends - monotonic()

    def error(self) -> SlowRetrievalError:
        return SlowRetrievalError(self._text)

    def check(self) -> None:
        """Raise a SlowRetrievalError when it has passed."""
        if self.left <= 0:
            raise self.error()


class _Watch:
    """Ends a transfer at its deadline, from a thread, whatever its own thread waits for."""

    def __init__(self, deadline: _Deadline) -> None:
        self.deadline = deadline
        self._is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(deadline.left, self._end)
        self._timer.daemon = True

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.cancel()

    def over(self, connected: socket.socket) -> None:
        """Watch over this socket from now on."""
        self._socket = connected
        self.check()

    def check(self) -> None:
        """Raise a SlowRetrievalError when the transfer was ended, or should have been by now."""
        if self._is_over:
            raise self.deadline.error()
        self.deadline.check()

    def _end(self) -> None:
        self._is_over = True
        with suppress(OSError, TypeError):
            # An SSLSocket's own method would hand ciphertext to a read that is under way.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # type: ignore[arg-type]


class _Bounded:
    """Connects within the deadline, to however many addresses a name leads."""

    host: str
    port: int
    timeout: Any
    ends: float

    def _new_conn(self) -> socket.socket:
        problem: OSError = OSError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            left = self.ends - monotonic()
            if left <= 0:
                raise TimeoutError("no time is left to connect")
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(min(self.timeout, left))
                connection.connect(address)
                # For the handshake, which Python bounds as a whole. The watch takes over after it.
                connection.settimeout(max(min(self.timeout, self.ends - monotonic()), _SOON))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
        raise problem


class _PlainConnection(_Bounded, HTTPConnection):
    """For an origin with http."""


class _TLSConnection(_Bounded, HTTPSConnection):
    """For an origin with https."""


def _parts_of(origin: str, *, plain_http: bool) -> tuple[str, int, str]:
    """Return host, port and path, the path with a slash at its end."""
    shown = escaped(origin, _TEXT_LIMIT)
    try:
        parts = urlsplit(origin)
        host = canonical_host(parts.hostname or "")
        port = parts.port
    except (ValueError, HostNameError) as error:
        raise UpdateError(f"{shown} is no address: {error}") from None
    if parts.scheme == "http" and not plain_http:
        raise UpdateError(
            f"{shown} is plain http", hint="write https, or allow plain http for this origin"
        )
    if parts.scheme not in {"http", "https"}:
        raise UpdateError(f"{shown} is no https address", hint="write https://HOST/PATH")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UpdateError(
            f"{shown} has more than host, port and path", hint="write https://HOST/PATH"
        )
    path = f"{parts.path.rstrip('/')}/"
    if not _PATH.fullmatch(path):
        raise UpdateError(f"{shown} has a path that no request can hold", hint="percent-encode it")
    return host, port or (443 if parts.scheme == "https" else 80), path
