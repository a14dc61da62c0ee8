import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)

from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.errors import UpdateError
from holdfast.lab.authorities import Authority
from holdfast.updates.fetcher import KeptMetadata, OriginFetcher
from tests.updates.origin import Answer, Origin, send, sending

NAME = "metadata/timestamp.json"
BODY = bytes(range(256)) * 300
LIMIT = 100_000

Serve = Callable[..., Origin]
Fetch = Callable[..., bytes]


@pytest.fixture
def server(serve: Serve) -> Origin:
    """Serves one file."""
    return serve({NAME: BODY})


@pytest.fixture
def fetch(server: Origin) -> Iterator[Fetch]:
    """Fetch a file from the server."""
    made: list[OriginFetcher] = []

    def run(name: str = NAME, limit: int = LIMIT, *, deadline: float = 20, gap: float = 5) -> bytes:
        made.append(OriginFetcher(server.url, None, plain_http=True, deadline=deadline, gap=gap))
        return made[-1].download_bytes(name, limit)

    yield run
    for fetcher in made:
        fetcher.close()


def test_a_file_comes_whole_and_unencoded(server: Origin, fetch: Fetch) -> None:
    """What is served arrives, and no encoding was offered to the server."""
    assert BODY == fetch()
    assert "identity" == server.headers["accept-encoding"]


def test_what_is_posted_is_posted_once(server: Origin) -> None:
    """Each time on a connection of its own, so that none is repeated because an old one is gone."""
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    fetcher.download_bytes(NAME, LIMIT)
    for body in (b"one", b"other"):
        fetcher.post("reports", body, {"x-kind": "test"})
    fetcher.close()
    server.answers["reports"] = sending(b"", status=206)
    with pytest.raises(DownloadHTTPError, match="206"):
        fetcher.post("reports", b"refused", {})

    assert [("reports", b"one"), ("reports", b"other"), ("reports", b"refused")] == [
        (path, body) for path, _, body in server.posts
    ]
    assert 4 == server.connections
    assert {"test", "identity"} <= set(server.posts[0][1].values())


def test_a_connection_is_used_again(server: Origin) -> None:
    """The files of one refresh take one connection, and after `close` there is a new one."""
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    for _ in range(3):
        assert BODY == fetcher.download_bytes(NAME, LIMIT)
    before = server.connections
    fetcher.close()
    fetcher.download_bytes(NAME, LIMIT)
    fetcher.close()

    assert (1, 2) == (before, server.connections)


def test_a_connection_that_the_server_has_closed_is_replaced(server: Origin) -> None:
    """A server that ends each connection is asked again over another."""
    server.answers[NAME] = sending(BODY, connection="close")
    fetcher = OriginFetcher(server.url, None, plain_http=True)

    assert [BODY, BODY] == [fetcher.download_bytes(NAME, LIMIT) for _ in range(2)]
    fetcher.close()


def test_the_connection_after_one_that_was_closed_has_a_deadline(server: Origin) -> None:
    """A server that ends each connection, and drips on the next, is cut off as well."""
    server.answers[NAME] = sending(BODY, connection="close")
    server.answers["metadata/1.root.json"] = server.drip(b"x")
    fetcher = OriginFetcher(server.url, None, plain_http=True, deadline=0.5)
    fetcher.download_bytes(NAME, LIMIT)

    with pytest.raises(SlowRetrievalError):
        fetcher.download_bytes("metadata/1.root.json", LIMIT)


def test_a_connection_that_closes_as_it_is_used(server: Origin) -> None:
    """A server that ends an idle connection at the moment of the next request is asked again."""
    server.files["metadata/1.root.json"] = b"root"
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    fetcher.download_bytes("metadata/1.root.json", LIMIT)

    def hang_up_once(_request: BaseHTTPRequestHandler) -> None:
        del server.answers[NAME]

    server.answers[NAME] = hang_up_once

    assert BODY == fetcher.download_bytes(NAME, LIMIT)
    assert 2 == server.connections
    fetcher.close()


def test_over_tls_with_the_channel_of_holdfast(tmp_path: Path, serve: Serve) -> None:
    """The context of a `VerifiedChannel` leads to an https origin that its anchors vouch for."""
    authority = Authority.new("Origin CA")
    server = serve({NAME: BODY}, authority.issue("localhost"))
    anchors = tmp_path / "anchors.pem"
    anchors.write_text(authority.pem)
    fetcher = OriginFetcher(server.url, VerifiedChannel("localhost", public_anchors=anchors))

    assert BODY == fetcher.download_bytes(NAME, LIMIT)
    fetcher.close()


def test_an_origin_that_nobody_vouches_for(tmp_path: Path, serve: Serve) -> None:
    """A server with a certificate of another CA is refused, with a download error."""
    server = serve({NAME: BODY}, Authority.new("Rogue CA").issue("localhost"))
    anchors = tmp_path / "anchors.pem"
    anchors.write_text(Authority.new("Origin CA").pem)
    fetcher = OriginFetcher(server.url, VerifiedChannel("localhost", public_anchors=anchors))

    with pytest.raises(DownloadError, match="certificate") as caught:
        fetcher.download_bytes(NAME, LIMIT)
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert [] == server.requests


class _Broken:
    def context(self) -> object:
        raise RuntimeError("no trust store today")


def test_a_channel_that_fails(serve: Serve) -> None:
    """What a channel raises comes out as a download error."""
    fetcher = OriginFetcher("https://localhost:1/", _Broken())

    with pytest.raises(DownloadError, match="no trust store today"):
        fetcher.download_bytes(NAME, LIMIT)


@pytest.mark.parametrize("status", [201, 206, 301, 302, 307, 308, 403, 404, 429, 500, 503])
def test_any_other_status_is_an_error(server: Origin, fetch: Fetch, status: int) -> None:
    """Only 200 is an answer; a redirect is not followed, wherever it leads."""
    server.files["elsewhere"] = BODY
    server.answers[NAME] = sending(BODY, status=status, location=f"{server.url}/elsewhere")

    with pytest.raises(DownloadHTTPError) as caught:
        fetch()

    assert status == caught.value.status_code
    assert [NAME] == server.requests


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"])
def test_no_content_encoding(server: Origin, fetch: Fetch, encoding: str) -> None:
    """An encoded body is refused before it is read: a small one may decode to any size."""
    server.answers[NAME] = sending(gzip.compress(BODY), content_encoding=encoding)

    with pytest.raises(DownloadError, match="content encoding"):
        fetch()


def test_identity_is_no_encoding(server: Origin, fetch: Fetch) -> None:
    """A server may say that it has encoded nothing."""
    server.answers[NAME] = sending(BODY, content_encoding="Identity")

    assert BODY == fetch()


def test_endless_data(server: Origin, fetch: Fetch) -> None:
    """A body without an end is cut off a piece behind the limit."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    server.answers[NAME] = server.drip(bytes(100_000), head, pause=0)

    with pytest.raises(DownloadLengthMismatchError):
        fetch()


_HEAD = b"HTTP/1.1 200 OK\r\n"
_LENGTH = b"Content-Length: 90000\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"x"),
        (_HEAD, b"x-padding: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (_HEAD + _LENGTH + b"\r\n", b"x"),
        (_HEAD + b"\r\n", b"x"),
        (_HEAD + _CHUNKED + b"\r\n", b"1;extension\r\nx\r\n"),
        (_HEAD + _CHUNKED + b"\r\n1;", b"x"),
        (_HEAD + _CHUNKED + b"\r\n1\r\nx\r\n0\r\n", b"x-trailer: y\r\n"),
    ],
    ids=["status", "headers", "continue", "body", "to-end", "chunks", "extension", "trailers"],
)
def test_dripped_data(server: Origin, fetch: Fetch, head: bytes, piece: bytes) -> None:
    """A server that always sends a little more is cut off at the deadline, whatever it sends."""
    server.answers[NAME] = server.drip(piece, head)

    with pytest.raises(SlowRetrievalError):
        fetch(deadline=0.3, gap=5)


def test_silence(server: Origin, fetch: Fetch) -> None:
    """A server that says nothing is given up after the gap."""
    server.answers[NAME] = server.drip(b"", pause=10)

    with pytest.raises(SlowRetrievalError):
        fetch(deadline=60, gap=0.1)


@pytest.mark.parametrize("piece", [b"", b"\x16\x03\x03\x40\x00\x02"])
def test_a_handshake_that_never_ends(tmp_path: Path, piece: bytes) -> None:
    """A server that accepts, and is silent or slow in the handshake, is given up too."""
    anchors = tmp_path / "anchors.pem"
    anchors.write_text(Authority.new("Origin CA").pem)
    channel = VerifiedChannel("localhost", public_anchors=anchors)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(piece)
                while not over.wait(0.02):
                    connection.sendall(piece[:1])

        server = threading.Thread(target=accept)
        server.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        fetcher = OriginFetcher(url, channel, deadline=0.3, gap=60)

        with pytest.raises(SlowRetrievalError):
            fetcher.download_bytes(NAME, LIMIT)
        over.set()
        server.join()


@pytest.mark.timeout(10)
def test_many_addresses_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to hundreds of silent addresses takes no longer than the deadline."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):  # fill its backlog, so that it answers nobody else
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        found = (socket.AF_INET, socket.SOCK_STREAM, 0, "", address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found] * 500)
        fetcher = OriginFetcher("http://localhost", None, plain_http=True, deadline=0.5, gap=0.1)

        with pytest.raises(SlowRetrievalError):
            fetcher.download_bytes(NAME, LIMIT)


@pytest.mark.parametrize("found", [[], [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ())]])
def test_a_name_that_is_looked_up_for_too_long(
    server: Origin, monkeypatch: pytest.MonkeyPatch, found: list[object]
) -> None:
    """The reason is the time, also when the thread that watches over it has not come to run."""

    def look_up(*_: object, **__: object) -> list[object]:
        time.sleep(0.2)
        return found

    monkeypatch.setattr(threading.Timer, "run", lambda _: None)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fetcher = OriginFetcher(server.url, None, plain_http=True, deadline=0.1)

    with pytest.raises(SlowRetrievalError, match=r"took more than 0\.1 s"):
        fetcher.download_bytes(NAME, LIMIT)


def test_no_thread_is_left(fetch: Fetch) -> None:
    """The watch over a transfer ends with it."""
    fetch(deadline=3600)
    timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    for timer in timers:
        timer.join(5)

    assert not any(timer.is_alive() for timer in timers)


def _half(request: BaseHTTPRequestHandler) -> None:
    send(request, BODY[:1000], content_length=str(len(BODY)))


def _broken_chunk(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(_HEAD + _CHUNKED + b"\r\n10\r\nhalf")


def _no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def _nothing(_request: BaseHTTPRequestHandler) -> None:
    pass


@pytest.mark.parametrize("answer", [_half, _broken_chunk, _no_http, _nothing])
def test_broken_answers(server: Origin, fetch: Fetch, answer: Answer) -> None:
    """Truncated and senseless answers are download errors, and nothing else escapes."""
    server.answers[NAME] = answer

    with pytest.raises(DownloadError, match="localhost"):
        fetch()
    assert [NAME] == server.requests


def test_after_a_failure_the_next_file_comes_whole(server: Origin) -> None:
    """What is left of a broken answer never becomes part of the next one."""
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    server.answers[NAME] = _half
    with pytest.raises(DownloadError):
        fetcher.download_bytes(NAME, LIMIT)
    with pytest.raises(DownloadHTTPError):
        fetcher.download_bytes("metadata/none.json", LIMIT)
    del server.answers[NAME]

    assert BODY == fetcher.download_bytes(NAME, LIMIT)
    fetcher.close()


def test_after_a_file_that_is_too_long_the_next_one_comes_whole(server: Origin) -> None:
    """The rest of a body that was not read does not stand in the way."""
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    with pytest.raises(DownloadLengthMismatchError):
        fetcher.download_bytes(NAME, 10)

    assert BODY == fetcher.download_bytes(NAME, LIMIT)
    fetcher.close()


def test_a_large_file_is_written_as_it_comes(server: Origin, tmp_path: Path) -> None:
    """As long as it was said to be, and with more time for each part of it."""
    fetcher = OriginFetcher(server.url, None, plain_http=True, deadline=0.2, gap=5)
    path = tmp_path / "large"
    fetcher.save(NAME, path, len(BODY))
    assert BODY == path.read_bytes()

    with pytest.raises(DownloadLengthMismatchError):
        fetcher.save(NAME, path, len(BODY) - 1)
    assert path.stat().st_size < len(BODY)
    with pytest.raises(DownloadHTTPError):
        fetcher.save("metadata/none.json", path, 10)
    server.answers["*"] = server.drip(b"x", b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(SlowRetrievalError, match=r"more than 1\.2 s"):
        fetcher.save(NAME, path, 512 * 1024)
    with pytest.raises(OSError, match="No such file"):
        fetcher.save(NAME, tmp_path / "missing" / "large", 10)
    fetcher.close()


def test_all_transfers_together_end_in_the_middle_of_one(server: Origin) -> None:
    """A body that drips, well within its own deadline, is cut off by the deadline of all."""
    server.answers[NAME] = server.drip(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
    fetcher = OriginFetcher(server.url, None, plain_http=True)

    with (
        pytest.raises(SlowRetrievalError, match=r"all transfers together took more than 0\.3 s"),
        fetcher.within(0.3),
    ):
        fetcher.download_bytes(NAME, LIMIT)


def test_nothing_is_asked_for_after_the_deadline_of_all(server: Origin) -> None:
    """A transfer that would begin too late does not begin; the next refresh has its own time."""
    fetcher = OriginFetcher(server.url, None, plain_http=True)
    with (
        pytest.raises(SlowRetrievalError, match="all transfers together took more than 0 s"),
        fetcher.within(0),
    ):
        fetcher.download_bytes(NAME, LIMIT)
    assert [] == server.requests

    with fetcher.within(20):
        assert BODY == fetcher.download_bytes(NAME, LIMIT)
    with fetcher.within(20):
        assert BODY == fetcher.download_bytes(NAME, LIMIT)
    assert 2 == server.connections


def test_nobody_listens() -> None:
    """A refused connection is a download error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(DownloadError, match="refused"):
        OriginFetcher(f"http://127.0.0.1:{port}", None, plain_http=True).download_bytes(NAME, 1)


@pytest.mark.parametrize(
    "name",
    ["metadata/../../secret", "..", "./x", "metadata//x", "x?y", "x#y", "x y", "x\r\ny: z", "/x"],
)
def test_names_from_metadata_stay_below_the_origin(server: Origin, fetch: Fetch, name: str) -> None:
    """A name that leads elsewhere, or is no name, is not asked for."""
    with pytest.raises(DownloadError, match="no name of a file"):
        fetch(name)

    assert [] == server.requests


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ("http://localhost/", "plain http"),
        ("ftp://localhost/", "no https address"),
        ("localhost", "no address"),
        ("https://", "no address"),
        ("https://local host/", "no address"),
        ("https://localhost:x/", "no address"),
        ("https://user:secret@localhost/", "more than host, port and path"),
        ("https://localhost/?x", "more than host, port and path"),
        ("https://localhost/#x", "more than host, port and path"),
        ("https://localhost/a b/", "path"),
        ("https://localhost/\u202e", "path"),
        ("https://localhost/", "pass a channel"),
    ],
)
def test_addresses_that_are_refused(origin: str, text: str) -> None:
    """An origin is an https address of host, port and path, unless plain http is allowed."""
    with pytest.raises(UpdateError, match=text):
        OriginFetcher(origin, None)


def test_what_is_kept(tmp_path: Path) -> None:
    """Metadata comes from the folder by the name of its role, a root by its version."""
    fetcher = KeptMetadata(tmp_path)
    (tmp_path / "root_history").mkdir()
    for number, name in enumerate(["timestamp", "root_history/2.root", "a%2Fb"]):
        (tmp_path / f"{name}.json").write_bytes(bytes([number]))

    names = ["timestamp", "2.root", "7.a%2Fb"]
    assert [b"\0", b"\1", b"\2"] == [
        fetcher.download_bytes(f"metadata/{name}.json", 1) for name in names
    ]


@pytest.mark.parametrize("name", ["timestamp", "3.root", "root", "../secret", "4.snapshot"])
def test_what_is_not_kept(tmp_path: Path, name: str) -> None:
    """All the rest is not there, and no name leads out of the folder."""
    folder = tmp_path / "metadata"
    folder.mkdir()
    (tmp_path / "secret.json").write_bytes(b"secret")

    with pytest.raises(DownloadHTTPError) as caught:
        KeptMetadata(folder).download_bytes(f"metadata/{name}.json", LIMIT)
    assert 404 == caught.value.status_code


def test_a_kept_file_that_is_a_link(tmp_path: Path) -> None:
    """A link among what is kept is an error of a download, and says so."""
    (tmp_path / "timestamp.json").symlink_to("other")

    with pytest.raises(DownloadError, match="is a link"):
        KeptMetadata(tmp_path).download_bytes(NAME, LIMIT)
