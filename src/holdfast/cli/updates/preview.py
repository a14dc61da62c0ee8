"""`holdfast updates preview`: serve a repository on this machine, for trials."""

from __future__ import annotations

import signal
import ssl
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.options import path_option
from holdfast.cli.output import print_lines
from holdfast.errors import HoldfastError
from holdfast.lab.authorities import Authority

if TYPE_CHECKING:
    from types import FrameType

_HOST = "localhost"


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, not folders, over connections that stay open."""

    protocol_version = "HTTP/1.1"

    def list_directory(self, path: object) -> None:  # noqa: ARG002
        """Refuse: no client asks for that."""
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
        """Say nothing: stdout is for the address."""


class _Server(ThreadingHTTPServer):
    """Does the handshake in the thread of the connection, so that none holds up the others."""

    daemon_threads = True

    def __init__(self, port: int, folder: Path, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
        self.context = context

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as there
        """Serve one connection."""
        with self.context.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that leave."""


@click.command("preview")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@path_option("--ca", required=True, help="Write the certificate of a throw-away CA here.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default a free one.")
def command(*, folder: Path, ca: Path, port: int) -> int:
    """Serve a repository over https on this machine, until Ctrl-C.

    Clients reach it with VerifiedChannel("localhost", public_anchors=CA). It is for trials: any web
    server serves the same files.
    """
    if not (folder / "metadata" / "timestamp.json").is_file():
        raise HoldfastError(
            f"{folder} is no repository", hint="make one with `holdfast updates init`"
        )
    authority = Authority.new("Holdfast preview CA")
    with _Server(port, folder, authority.issue(_HOST).server_context()) as server:
        ca.write_text(authority.pem, "ascii")
        print_lines(f"https://{_HOST}:{server.server_port}/")
        sys.stdout.flush()
        _until_signaled(server)
    return 0


def _until_signaled(server: _Server) -> None:
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        over.wait()
    finally:
        server.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)
