"""Servers that prefer HTTP/2 (RFC 9113), and speak HTTP/1.1 with clients that do not offer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.lab.dialogues import http_dialogue, lead_on
from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from holdfast.lab.authorities import Identity
    from holdfast.lab.server import Dialogue, ServerStream

__all__ = ["http2_server", "shared_connection"]

_PROTOCOLS = ("h2", "http/1.1")
_BODY = b"hello from the lab\n"


def http2_server(identity: Identity) -> LabServer:
    """Return a server that answers each request with 200.

    Raises:
        HoldfastError: h2 is not installed.
    """
    return _server(identity, http_dialogue(_BODY, {}), None)


def shared_connection(identity: Identity, host: str) -> LabServer:
    """Return a server that sends the client on to `host`, and leaves the connection open for it.

    What comes on the connection from then on has another entry in the log.

    Raises:
        HoldfastError: h2 is not installed.
    """
    return _server(identity, lead_on(host, hangs_up=False), host)


def _server(identity: Identity, http1: Dialogue, host: str | None) -> LabServer:
    try:
        import h2.connection  # noqa: F401 (before a client is there to wait for it)
    except ImportError as error:
        raise HoldfastError(
            "HTTP/2 needs h2, which is not installed",
            hint='install it with: pip install "holdfast[lab]"',
        ) from error

    async def talk(stream: ServerStream) -> None:
        if stream.alpn == "h2":
            await _http2(stream, host)
        else:
            await http1(stream)

    return LabServer(identity, alpn=_PROTOCOLS, dialogue=talk)


async def _http2(stream: ServerStream, host: str | None) -> None:
    """Answer requests, the one for "/" by sending the client on, if there is a host to send it to.

    Raises:
        h2.exceptions.ProtocolError: The client speaks something else.
    """
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import ConnectionTerminated, RequestReceived

    http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    await stream.write(http.data_to_send())
    while data := await stream.read():
        for event in http.receive_data(data):
            if isinstance(event, ConnectionTerminated):
                return
            if isinstance(event, RequestReceived):
                asked = {str(name): str(value) for name, value in event.headers}
                path = asked[":path"]
                stream.record.add_request(f"{asked[':method']} {path} HTTP/2")
                fields = [(":status", "200"), ("content-length", str(len(_BODY)))]
                if host is not None and path == "/":
                    stream.begin_entry()
                    port = asked[":authority"].rpartition(":")[2]
                    location = f"https://{host}:{port}/1"
                    fields = [(":status", "307"), ("location", location), ("content-length", "0")]
                is_redirect = fields[0][1] == "307"
                http.send_headers(event.stream_id, fields, end_stream=is_redirect)
                if not is_redirect:
                    http.send_data(event.stream_id, _BODY, end_stream=True)
        await stream.write(http.data_to_send())
