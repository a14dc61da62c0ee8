"""What pinning costs a TLS 1.3 handshake, beside no pinning and urllib3's `assert_fingerprint`.

Measured for each kind of trust, for a policy that can change, and with a client's certificate.

The server runs in a process of its own. Each round does one handshake of each kind in turn, so that
the machine's moods meet all of them; the figures are medians. `wall` holds both ends, `cpu` is the
client alone. The last columns are ratios to the plain handshake of the same round.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import multiprocessing
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from _interleaved import compare
from urllib3.util.ssl_ import assert_fingerprint

from holdfast import Mode, Pin, PinningContext, PinSet, Policy, Unlisted
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import KeyKind
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin_set import Trust

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_HOST = "localhost"


class Served(NamedTuple):
    """What a client has to know of the server; `client` is a key and certificate for it, or ""."""

    port: int
    anchors: str
    leaf: bytes
    pin: str
    client: str


def serve(served_to: Connection, kind: KeyKind, *, mutual: bool) -> None:
    """Serve handshakes one after another until the process is ended."""
    root = Authority.new("Benchmark Root", kind=kind)
    identity = root.intermediate("Benchmark Intermediate").issue(_HOST, kind=kind)
    client = root.issue("client.example", kind=kind, usage="client")
    context = identity.server_context(
        minimum_version=ssl.TLSVersion.TLSv1_3, client_anchors=[root] if mutual else []
    )
    context.num_tickets = 0
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        port = listener.getsockname()[1]
        pem = client.key_pem + client.chain_pem if mutual else ""
        served_to.send(Served(port, root.pem, identity.der, identity.spki_pin, pem))
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
    served: Served,
) -> dict[str, tuple[ssl.SSLContext, Callable[[ssl.SSLSocket], None]]]:
    """Return each kind of client: its context, and what it does after the handshake."""
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.load_verify_locations(cadata=served.anchors)
    public = _policy(served.pin)
    private = _policy(
        served.pin, trust=Trust.PRIVATE, anchors=(ssl.PEM_cert_to_DER_cert(served.anchors),)
    )
    sources = {
        "holdfast": public,
        "holdfast, a policy that can change": _CanChange(public),
        "holdfast, private trust": private,
        "holdfast, pins-only trust": _policy(served.pin, trust=Trust.PINS_ONLY),
    }
    with tempfile.TemporaryDirectory() as folder:
        file, client = Path(folder, "anchors.pem"), Path(folder, "client.pem")
        file.write_text(served.anchors, encoding="ascii")
        client.write_text(served.client, encoding="ascii")
        pinned = {
            name: PinningContext(source, public_anchors=file) for name, source in sources.items()
        }
        for context in (plain, *pinned.values()):
            if served.client:
                context.load_cert_chain(client)
    plain.verify_flags = pinned["holdfast"].verify_flags
    wanted = Pin.of_certificate(served.leaf).digest.hex()

    def check(tls: ssl.SSLSocket) -> None:
        assert_fingerprint(tls.getpeercert(binary_form=True), wanted)

    def nothing(_: ssl.SSLSocket) -> None:
        pass

    return {
        "plain": (plain, nothing),
        "plain again": (plain, nothing),
        **{name: (context, nothing) for name, context in pinned.items()},
        "urllib3 assert_fingerprint": (plain, check),
    }


class _CanChange:
    """A source that does not change, and could."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def current(self) -> Policy:
        """Return the policy."""
        return self._policy


def _policy(pin: str, **fields: Any) -> Policy:  # noqa: ANN401
    pin_set = PinSet(
        name="benchmark",
        hosts=(HostPattern.parse(_HOST),),
        mode=Mode.ENFORCE,
        leaf=(Pin.parse(pin),),
        backup=(Pin.of_spki(b"a backup key"),),
        **fields,
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


def measure(kind: KeyKind, rounds: int, *, mutual: bool) -> None:
    """Measure one kind of key and print its table."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, kind), kwargs={"mutual": mutual}, daemon=True
    )
    server.start()
    try:
        served = ours.recv()
        ends = "both ends" if mutual else "the server"
        compare(
            f"TLS 1.3, {kind} chain of 3, a certificate of {ends}",
            {
                name: functools.partial(handshake, served.port, context, after)
                for name, (context, after) in contenders(served).items()
            },
            rounds,
        )
    finally:
        server.terminate()
        server.join()


def main() -> None:
    """Measure EC and RSA chains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    rounds = 100 if parser.parse_args().quick else 600
    kinds: tuple[KeyKind, ...] = ("ec", "rsa")
    for mutual, kind in itertools.product((False, True), kinds):
        measure(kind, rounds, mutual=mutual)


if __name__ == "__main__":
    main()
