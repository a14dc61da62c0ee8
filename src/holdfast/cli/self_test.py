"""The self-test of `holdfast doctor`: real handshakes, judged by what the server received."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.cli.health import Health
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.findings.finding import Severity
from holdfast.lab.authorities import Authority, new_key, spki_pin
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Violation

_HOST = "localhost"
_SECONDS = 10.0
_REQUEST = b"GET / HTTP/1.0\r\n\r\n"

_Client = Callable[[int, ssl.SSLContext], bytes]


class _Silent:
    """A sink for violations that are meant to happen."""

    def report(self, violation: Violation) -> None:
        """Take note of nothing."""


def self_test() -> Iterator[Health]:
    """Try a right and a wrong pin, over a blocking socket and over asyncio."""
    for kind, client in (("blocking", _blocking), ("asyncio", _over_asyncio)):
        name = f"self-test, {kind}"
        try:
            yield from _try_both(name, client)
        except OSError as error:  # TimeoutError is one
            yield _failed(name, f"the server on loopback was not reached: {error}")


def _try_both(name: str, client: _Client) -> Iterator[Health]:
    authority = Authority.new("holdfast doctor")
    identity = authority.issue(_HOST)
    with LabServer(identity) as server, _anchor_file(authority) as anchors:
        right = _context(identity.spki_pin, anchors)
        answered = _outcome(client, server.port, right) == b"HTTP/1.1 200 OK"
        server.wait_for(closed=1, timeout=_SECONDS)
        sent = server.application_bytes
        wrong = _context(spki_pin(new_key()), anchors)
        refused = _outcome(client, server.port, wrong) is PinViolationError
        server.wait_for(closed=2, timeout=_SECONDS)
        leaked = server.application_bytes - sent
    if answered and refused and leaked == 0:
        yield Health(name=name, detail="right pin: answered; wrong pin: refused, 0 bytes sent")
    if not answered:
        yield _failed(name, "a server with the right key was refused")
    if not refused or leaked:
        yield _failed(name, f"a wrong pin was not refused; the server received {leaked} bytes")


def _outcome(client: _Client, port: int, context: ssl.SSLContext) -> bytes | type[OSError]:
    """Return the first line of the answer, or the kind of error that there was instead."""
    try:
        return client(port, context).partition(b"\r\n")[0]
    except OSError as error:  # PinViolationError and TimeoutError are two
        return type(error)


def _failed(name: str, detail: str) -> Health:
    return Health(
        name=name,
        detail=detail,
        severity=Severity.ERROR,
        rule="HF508",
        action="do not rely on pins in this environment; look for what patches ssl or socket",
    )


def _context(pin: str, anchors: Path) -> PinningContext:
    pin_set = PinSet(
        name="self-test",
        hosts=(HostPattern.parse(_HOST),),
        mode=Mode.ENFORCE,
        leaf=(Pin.parse(pin),),
        backup=(Pin.parse(spki_pin(new_key())),),
    )
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))
    return PinningContext(policy, sink=_Silent(), public_anchors=anchors)


def _blocking(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=_HOST) as tls,
    ):
        tls.sendall(_REQUEST)
        return tls.recv(1024)


def _over_asyncio(port: int, context: ssl.SSLContext) -> bytes:
    async def request() -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=_HOST
        )
        try:
            writer.write(_REQUEST)
            return await reader.read(1024)
        finally:
            writer.close()
            with suppress(ssl.SSLError, OSError):
                await writer.wait_closed()

    return asyncio.run(asyncio.wait_for(request(), _SECONDS))


@contextmanager
def _anchor_file(authority: Authority) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-doctor-") as folder:
        path = Path(folder, "anchor.pem")
        path.write_text(authority.pem, "ascii")
        yield path
