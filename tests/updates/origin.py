"""An HTTP server on loopback that serves files from memory, or whatever fault a test asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from holdfast.lab.authorities import Identity

Answer = Callable[[BaseHTTPRequestHandler], None]


class Origin:
    """A server of `files`, by their path below the origin.

    Attributes:
        files: What is served. Change it at any time.
        answers: By path, or "*" for all: what answers instead. An answer writes what it likes.
        requests: The paths that were asked for.
        headers: The headers of the last request.
        posts: What was posted: path, headers and body.
    """

    def __init__(self, files: dict[str, bytes], identity: Identity | None = None) -> None:
        """Describe a server; with an identity it speaks TLS."""
        self.files = files
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.headers: dict[str, str] = {}
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self._over = threading.Event()
        self._is_tls = identity is not None
        origin = self
        context = None if identity is None else identity.server_context()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                origin.connections += 1

            def do_GET(self) -> None:
                origin.answer(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                path = self.path.removeprefix("/repository/")
                origin.posts.append((path, dict(self.headers), body))
                self.close_connection = True
                origin.answers.get(path, sending(b"", status=204))(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as there
                if context is None:
                    super().finish_request(request, client_address)
                    return
                with context.wrap_socket(request, server_side=True) as encrypted:
                    super().finish_request(encrypted, client_address)

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients hang up on what they refuse

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        """Start listening."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, and let answers that wait go on."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is."""
        scheme = "https" if self._is_tls else "http"
        return f"{scheme}://localhost:{self._server.server_address[1]}/repository"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        path = request.path.removeprefix("/repository/")
        self.requests.append(path)
        self.headers = dict(request.headers)
        if answer := self.answers.get(path, self.answers.get("*")):
            request.close_connection = True
            answer(request)
        elif path in self.files:
            send(request, self.files[path])
        else:
            send(request, b"", status=404)

    def drip(self, piece: bytes, head: bytes = b"", pause: float = 0.02) -> Answer:
        """Send a head, and then a piece again and again until the test is over."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(head)
            while not self._over.wait(pause):
                request.wfile.write(piece)

        return answer


def send(
    request: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, **headers: str
) -> None:
    """Send an answer, with its true length unless a header says otherwise."""
    request.send_response(status)
    for name, value in {"content_length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def sending(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    """Return an answer that is sent whatever is asked."""
    return lambda request: send(request, body, status=status, **headers)
