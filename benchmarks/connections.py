"""What pinning costs beside a full handshake over a blocking socket, which `handshake.py` measures.

Resumed sessions, asyncio, process-wide enforcement, threads, data after acceptance, and peers that
check the server in other ways. The server runs in a process of its own; the first of each group is
the peer that the others are ratios to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from _interleaved import compare, timed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast import Mode, Pin, PinningContext, PinSet, Policy, Unlisted, install
from holdfast.enforcement.genuine_context import BareContext
from holdfast.lab.authorities import Authority
from holdfast.pins.host_pattern import HostPattern

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_HOST = "localhost"
_BYE, _TAKE, _GIVE = b"end:", b"take", b"give"
_BULK = 1 << 20
_SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


class Served(NamedTuple):
    """What a client has to know of the server."""

    port: int
    anchors: str
    pin: str


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that the handshake is over, then do as the client says."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        writer.write(b"!")
        while (order := await reader.readexactly(4)) != _BYE:
            if order == _TAKE:
                size = int.from_bytes(await reader.readexactly(4), "big")
                await reader.readexactly(size)
                writer.write(b".")
            else:
                writer.write(bytes(_BULK))
            await writer.drain()
    writer.close()


def serve(served_to: Connection) -> None:
    """Serve until the process is ended."""
    root = Authority.new("Benchmark Root")
    identity = root.intermediate("Benchmark Intermediate").issue(_HOST)
    context = identity.server_context()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        served_to.send(Served(port, root.pem, identity.spki_pin))
        await server.serve_forever()

    asyncio.run(main())


@contextlib.contextmanager
def server() -> Iterator[Served]:
    """Run the server in another process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class Client:
    """Connections with one context."""

    def __init__(self, context: ssl.SSLContext, served: Served) -> None:
        self.context = context
        self.port = served.port
        self.session: ssl.SSLSession | None = None

    def connect(self, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """Return a connection whose handshake is over on both ends."""
        raw = socket.create_connection(("127.0.0.1", self.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self.context.wrap_socket(raw, server_hostname=_HOST, session=session)
        tls.recv(1)
        return tls

    def handshake(self) -> None:
        """Connect and part."""
        with self.connect() as tls:
            tls.send(_BYE)

    def resume(self) -> None:
        """Connect with the session of the time before."""
        with self.connect(self.session) as tls:
            assert self.session is None or tls.session_reused
            self.session = tls.session
            tls.send(_BYE)

    async def in_asyncio(self) -> None:
        """Connect and part, with streams."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname=_HOST
        )
        await reader.readexactly(1)
        writer.write(_BYE)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def in_threads(self, count: int) -> None:
        """Connect and part eight times, by so many threads."""

        def work() -> None:
            for _ in range(8 // count):
                self.handshake()

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def writing(tls: ssl.SSLSocket, size: int, times: int) -> Callable[[], None]:
    """Return what writes so many pieces of this size."""
    piece, head = bytes(size), _TAKE + (size * times).to_bytes(4, "big")

    def run() -> None:
        tls.sendall(head)
        for _ in range(times):
            tls.send(piece)
        tls.recv(1)

    return run


def reading(tls: ssl.SSLSocket) -> Callable[[], None]:
    """Return what reads a megabyte."""
    buffer = bytearray(1 << 16)

    def run() -> None:
        tls.sendall(_GIVE)
        left = _BULK
        while left:
            left -= tls.recv_into(buffer)

    return run


def other_checks(served: Served, anchors: Path) -> dict[str, dict[str, Callable[[], object]]]:
    """Return peers that check a server in their own way, each beside itself without the check."""
    groups: dict[str, dict[str, Callable[[], object]]] = {}
    with contextlib.suppress(ImportError):
        from OpenSSL import SSL

        def pyopenssl(*, checks: bool) -> Callable[[], None]:
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.load_verify_locations(str(anchors))
            wanted = Pin.parse(served.pin).digest

            def check(_: Any, certificate: Any, _error: int, depth: int, ok: int) -> bool:  # noqa: ANN401
                if depth:
                    return bool(ok)
                key = certificate.to_cryptography().public_key()
                return bool(ok) and Pin.of_spki(key.public_bytes(*_SPKI)).digest == wanted

            if checks:
                context.set_verify(SSL.VERIFY_PEER, check)
            else:
                context.set_verify(SSL.VERIFY_PEER)

            def run() -> None:
                with socket.create_connection(("127.0.0.1", served.port)) as raw:
                    tls = SSL.Connection(context, raw)
                    tls.set_tlsext_host_name(_HOST.encode())
                    tls.set_connect_state()
                    tls.do_handshake()
                    tls.recv(1)
                    tls.send(_BYE)

            return run

        groups["pyOpenSSL"] = {
            "pyOpenSSL": pyopenssl(checks=False),
            "pyOpenSSL, a callback": pyopenssl(checks=True),
        }
    with contextlib.suppress(ImportError):
        import truststore

        loose = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        loose.load_verify_locations(anchors)
        plain = _plain(served)
        groups["truststore"] = {
            "plain": Client(plain, served).handshake,
            "truststore, no pins": Client(loose, served).handshake,
        }
    with contextlib.suppress(ImportError):
        import pycurl

        def curl(pin: str | None) -> Callable[[], None]:
            handle = pycurl.Curl()
            handle.setopt(pycurl.URL, f"https://{_HOST}:{served.port}/")
            handle.setopt(pycurl.CAINFO, str(anchors))
            handle.setopt(pycurl.CONNECT_ONLY, 1)
            handle.setopt(pycurl.FRESH_CONNECT, 1)
            if pin:
                handle.setopt(pycurl.PINNEDPUBLICKEY, pin.replace("sha256/", "sha256//"))
            return handle.perform  # type: ignore[no-any-return]

        groups["pycurl"] = {
            "pycurl": curl(None),
            "pycurl, PINNEDPUBLICKEY": curl(served.pin),
        }
    return groups


def _plain(served: Served) -> ssl.SSLContext:
    context = BareContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=served.anchors)
    return context


def _policy(served: Served) -> Policy:
    pin_set = PinSet(
        name="benchmark",
        hosts=(HostPattern.parse(_HOST),),
        mode=Mode.ENFORCE,
        leaf=(Pin.parse(served.pin),),
        backup=(Pin.of_spki(b"a backup key"),),
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


def beside(title: str, group: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Measure contenders from outside."""
    compare(title, {name: timed(run) for name, run in group.items()}, rounds)


def measure(served: Served, anchors: Path, rounds: int) -> None:
    """Measure everything against one server."""
    policy = _policy(served)
    plain = Client(_plain(served), served)
    pinned = Client(PinningContext(policy, public_anchors=anchors), served)
    plain.context.verify_flags = pinned.context.verify_flags

    beside("resumed", {"plain": plain.resume, "holdfast": pinned.resume}, rounds)
    with asyncio.Runner() as runner:
        beside(
            "asyncio",
            {
                "plain": lambda: runner.run(plain.in_asyncio()),
                "holdfast": lambda: runner.run(pinned.in_asyncio()),
            },
            rounds,
        )
    for count in (1, 8):
        beside(
            f"8 handshakes in {count} threads",
            {
                "plain": lambda count=count: plain.in_threads(count),  # type: ignore[misc]
                "holdfast": lambda count=count: pinned.in_threads(count),  # type: ignore[misc]
            },
            rounds // 4,
        )
    with plain.connect() as one, pinned.connect() as other:
        for size, times in ((64, 500), (16384, 50)):
            beside(
                f"{times} writes of {size} bytes",
                {"plain": writing(one, size, times), "holdfast": writing(other, size, times)},
                rounds,
            )
        beside("reading 1 MiB", {"plain": reading(one), "holdfast": reading(other)}, rounds)
    for title, group in other_checks(served, anchors).items():
        few = rounds if title != "truststore" else max(rounds // 20, 5)
        beside(title, group, few)
    install(policy)
    stock = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stock.load_verify_locations(cadata=served.anchors)
    stock.verify_flags = pinned.context.verify_flags
    everywhere = Client(stock, served)
    beside("process-wide", {"plain": plain.handshake, "holdfast": everywhere.handshake}, rounds)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    rounds = 60 if parser.parse_args().quick else 400
    with server() as served, tempfile.TemporaryDirectory() as folder:
        anchors = Path(folder, "anchors.pem")
        anchors.write_text(served.anchors, encoding="ascii")
        measure(served, anchors, rounds)


if __name__ == "__main__":
    main()
