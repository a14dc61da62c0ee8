"""What pinning its clients costs a server in a handshake, beside only verifying them.

Both ends run over BIOs in one thread, one handshake of each kind in turn; only the steps of the
server are timed. The last column is the median of the ratios to the plain server of the same round.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import ssl
import statistics
import time
from typing import Any

from holdfast import Mode, Pin, PinningContext, PinSet, Policy, Trust, Unlisted
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import KeyKind
from holdfast.pins.client_identity import ClientIdentity

_WARM_UP = 20
_CLIENT = "spiffe://example.org/payments"


class CanChange:
    """A source that does not change, and could."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def current(self) -> Policy:
        """Return the policy."""
        return self._policy


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> float:
    """Return the seconds that a server spends in one handshake, its object's making included."""
    to_server, to_client, from_server, from_client = (ssl.MemoryBIO() for _ in range(4))
    theirs = client.wrap_bio(to_client, from_client, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        theirs.do_handshake()
    to_server.write(from_client.read())
    start = time.perf_counter()
    ours = server.wrap_bio(to_server, from_server, server_side=True)
    with contextlib.suppress(ssl.SSLWantReadError):
        ours.do_handshake()
    spent = time.perf_counter() - start
    to_client.write(from_server.read())
    with contextlib.suppress(ssl.SSLWantReadError):
        theirs.do_handshake()
    to_server.write(from_client.read())
    start = time.perf_counter()
    ours.do_handshake()
    return spent + time.perf_counter() - start


def contenders(server: Identity, client: Identity, root: Authority) -> dict[str, ssl.SSLContext]:
    """Return each kind of server context."""
    pin_set: dict[str, Any] = {
        "name": "payments",
        "hosts": (),
        "clients": (ClientIdentity(_CLIENT),),
        "mode": Mode.ENFORCE,
        "trust": Trust.PRIVATE,
        "anchors": (ssl.PEM_cert_to_DER_cert(root.pem),),
        "leaf": (Pin.parse(client.spki_pin),),
    }
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(PinSet(**pin_set),))
    found = {
        "plain": server.server_context(client_anchors=[root]),
        "plain again": server.server_context(client_anchors=[root]),
        "holdfast": PinningContext.for_server(policy),
        "holdfast, a policy that can change": PinningContext.for_server(CanChange(policy)),
    }
    for name, context in found.items():
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        context.verify_flags = found["holdfast"].verify_flags
        if name.startswith("holdfast"):
            server.load_into(context)
    return found


def measure(kind: KeyKind, version: ssl.TLSVersion, rounds: int) -> None:
    """Measure one kind of key under one version and print its table."""
    root = Authority.new("Benchmark Root", kind=kind)
    issuing = root.intermediate("Benchmark Intermediate", kind=kind)
    server = issuing.issue("localhost", kind=kind)
    client = issuing.issue(_CLIENT, kind=kind, usage="both", common_name="payments")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.pem)
    context.maximum_version = version
    client.load_into(context)
    servers = contenders(server, client, root)
    seen: dict[str, list[float]] = {name: [] for name in servers}
    for turn in range(rounds + _WARM_UP):
        for name, one in servers.items():
            spent = handshake(one, context)
            if turn >= _WARM_UP:
                seen[name].append(spent)
    print(f"{version.name}, {kind} chains of 3, {rounds} rounds, the server's part")
    print(f"  {'server':36}{'us':>10}{'ratio':>8}")
    for name, figures in seen.items():
        pairs = zip(figures, seen["plain"], strict=True)
        ratio = statistics.median(mine / plain for mine, plain in pairs)
        print(f"  {name:36}{statistics.median(figures) * 1e6:10.0f}{ratio:8.3f}")


def main() -> None:
    """Measure EC and RSA chains under both versions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    rounds = 100 if parser.parse_args().quick else 1000
    kinds: tuple[KeyKind, ...] = ("ec", "rsa")
    versions = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    for kind, version in itertools.product(kinds, versions):
        measure(kind, version, rounds)


if __name__ == "__main__":
    main()
