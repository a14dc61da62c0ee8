"""What pinning costs a TLS 1.3 handshake, beside no pinning and urllib3's `assert_fingerprint`.

The server runs in a process of its own. Each round does one handshake of each kind in turn, so that
the machine's moods meet all of them; the figures are medians. `wall` holds both ends, `cpu` is the
client alone. The last columns are ratios to the plain handshake of the same round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from urllib3.util.ssl_ import assert_fingerprint

from holdfast import Mode, Pin, PinningContext, PinSet, Policy, Unlisted
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import KeyKind
from holdfast.pins.host_pattern import HostPattern

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_HOST = "localhost"
_WARM_UP = 20


def serve(port_to: Connection, kind: KeyKind) -> None:
    """Serve handshakes one after another until the process is ended."""
    root = Authority.new("Benchmark Root", kind=kind)
    identity = root.intermediate("Benchmark Intermediate").issue(_HOST, kind=kind)
    context = identity.server_context(minimum_version=ssl.TLSVersion.TLSv1_3)
    context.num_tickets = 0
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        port_to.send((listener.getsockname()[1], root.pem, identity.der, identity.spki_pin))
        while True:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)


def handshake(
    port: int, context: ssl.SSLContext, after: Callable[[ssl.SSLSocket], None]
) -> tuple[float, float]:
    """Return the wall and client CPU seconds of one handshake; connecting does not count."""
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wall, cpu = time.perf_counter(), time.process_time()
        with context.wrap_socket(raw, server_hostname=_HOST) as tls:
            after(tls)
            return time.perf_counter() - wall, time.process_time() - cpu


def contenders(
    anchors: str, leaf: bytes, pin: str
) -> dict[str, tuple[ssl.SSLContext, Callable[[ssl.SSLSocket], None]]]:
    """Return each kind of client: its context, and what it does after the handshake."""
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.load_verify_locations(cadata=anchors)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "anchors.pem")
        file.write_text(anchors, encoding="ascii")
        pinned = PinningContext(_policy(pin), public_anchors=file)
    plain.verify_flags = pinned.verify_flags
    wanted = Pin.of_certificate(leaf).digest.hex()

    def check(tls: ssl.SSLSocket) -> None:
        assert_fingerprint(tls.getpeercert(binary_form=True), wanted)

    def nothing(_: ssl.SSLSocket) -> None:
        pass

    return {
        "plain": (plain, nothing),
        "plain again": (plain, nothing),
        "holdfast": (pinned, nothing),
        "urllib3 assert_fingerprint": (plain, check),
    }


def _policy(pin: str) -> Policy:
    pin_set = PinSet(
        name="benchmark",
        hosts=(HostPattern.parse(_HOST),),
        mode=Mode.ENFORCE,
        leaf=(Pin.parse(pin),),
        backup=(Pin.of_spki(b"a backup key"),),
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


def measure(kind: KeyKind, rounds: int) -> None:
    """Measure one kind of key and print its table."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, kind), daemon=True
    )
    server.start()
    try:
        port, anchors, leaf, pin = ours.recv()
        clients = contenders(anchors, leaf, pin)
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for turn in range(rounds + _WARM_UP):
            for name, (context, after) in clients.items():
                figures = handshake(port, context, after)
                if turn >= _WARM_UP:
                    seen[name].append(figures)
    finally:
        server.terminate()
        server.join()
    print(f"TLS 1.3, {kind} chain of 3, {rounds} rounds")
    print(f"  {'client':28}{'wall us':>10}{'cpu us':>10}{'wall':>8}{'cpu':>8}")
    for name, figures in seen.items():
        wall, cpu = (statistics.median(column) * 1e6 for column in zip(*figures, strict=True))
        ratios = [
            statistics.median(
                mine[i] / plain[i] for mine, plain in zip(figures, seen["plain"], strict=True)
            )
            for i in (0, 1)
        ]
        print(f"  {name:28}{wall:10.0f}{cpu:10.0f}{ratios[0]:8.3f}{ratios[1]:8.3f}")


def main() -> None:
    """Measure EC and RSA chains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    rounds = 100 if parser.parse_args().quick else 600
    for kind in ("ec", "rsa"):
        measure(kind, rounds)


if __name__ == "__main__":
    main()
