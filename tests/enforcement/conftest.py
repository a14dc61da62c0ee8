"""A server, an impostor with a trusted certificate for the same name, and clients to tell apart.

Keys are made once. What came through is read from the server's log, never from the client.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.pinned_client import PinnedClient, pinned_client_of
from holdfast.enforcement.process_wide import install, uninstall
from holdfast.enforcement.server_context import PinnedServerContext
from holdfast.lab.authorities import Authority, Identity, new_key, self_signed, spki_pin
from holdfast.lab.issuance import der
from holdfast.lab.loop_thread import LoopThread
from holdfast.lab.server import LabServer
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Violation

Result = TypeVar("Result")
Drive = Callable[..., Any]

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
DEVICE = "device.internal"
MESH = "mesh.internal"
_NAMES = ("localhost", "other.example", "127.0.0.1", "::1", "xn--bcher-kva.example")


@pytest.fixture(scope="session")
def honest() -> Authority:
    """The CA that the server's owner uses."""
    return Authority.new("Honest CA")


@pytest.fixture(scope="session")
def rogue() -> Authority:
    """A CA that is trusted as well, and certifies anybody."""
    return Authority.new("Rogue CA")


@pytest.fixture(scope="session")
def issuing(honest: Authority) -> Authority:
    """The CA below it."""
    return honest.intermediate("Honest Intermediate")


@pytest.fixture(scope="session")
def identity(issuing: Authority) -> Identity:
    """What the server shows."""
    return issuing.issue(*_NAMES)


@pytest.fixture(scope="session")
def impostor(rogue: Authority) -> Identity:
    """What the impostor shows: another key, with a trusted certificate for the same names."""
    return rogue.issue(*_NAMES)


@pytest.fixture(scope="session")
def client_identity(honest: Authority) -> Identity:
    """What a client shows that is asked for a certificate."""
    return honest.issue(common_name="client", usage="client")


@pytest.fixture(scope="session")
def anchors(honest: Authority, rogue: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trust store: both CAs. Without pins, every certificate here would be accepted."""
    path = tmp_path_factory.mktemp("anchors") / "anchors.pem"
    path.write_text(honest.pem + rogue.pem, "ascii")
    return path


@pytest.fixture(scope="session")
def policy_file(
    identity: Identity, spare_pin: Pin, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file that pins the server's key for localhost, for other processes."""
    path = tmp_path_factory.mktemp("policy") / "pins.toml"
    path.write_text(
        '[holdfast]\nformat = 1\nunlisted = "allow"\n'
        '[pin_set.lab]\nhosts = ["localhost"]\nmode = "enforce"\n'
        f'leaf = ["{identity.spki_pin}"]\nbackup = ["{spare_pin}"]\n',
        "ascii",
    )
    return path


@pytest.fixture(scope="session")
def spare_pin() -> Pin:
    """The pin of a key that nobody uses."""
    return Pin.parse(spki_pin(new_key()))


@pytest.fixture(scope="session")
def policy_for(identity: Identity, spare_pin: Pin) -> Callable[..., Policy]:
    """Return a function that makes a policy for localhost; by default the server's key is pinned.

    It takes `leaf` or `ca` (pins as text), `hosts`, `mode`, `unlisted` and `denied`.
    """

    def make(
        *,
        leaf: str = identity.spki_pin,
        ca: str | None = None,
        hosts: tuple[str, ...] = ("localhost",),
        mode: Mode = Mode.ENFORCE,
        unlisted: Unlisted = Unlisted.ALLOW,
        denied: tuple[str, ...] = (),
    ) -> Policy:
        pins: dict[str, Any] = {"leaf": (Pin.parse(leaf),), "backup": (spare_pin,)}
        if ca is not None:
            pins = {"ca": (Pin.parse(ca), spare_pin)}
        patterns = tuple(map(HostPattern.parse, hosts))
        return Policy(
            unlisted=unlisted,
            pin_sets=(PinSet(name="lab", hosts=patterns, mode=mode, **pins),),
            denied=tuple(map(Pin.parse, denied)),
        )

    return make


@pytest.fixture(scope="session")
def policy(policy_for: Callable[..., Policy]) -> Policy:
    """Pins the server's key for localhost; other hosts are allowed."""
    return policy_for()


@pytest.fixture(scope="session")
def mesh() -> Authority:
    """The private root, which no public store has."""
    return Authority.new("Mesh root")


@pytest.fixture(scope="session")
def service(mesh: Authority) -> Identity:
    """A service under the private root."""
    return mesh.intermediate("Mesh CA").issue(MESH)


@pytest.fixture(scope="session")
def device() -> Identity:
    """A device that vouches for itself."""
    return self_signed(DEVICE)


@pytest.fixture
def public_set(policy: Policy) -> PinSet:
    """The set of localhost, under public trust."""
    return policy.pin_sets[0]


@pytest.fixture
def sets(
    public_set: PinSet, mesh: Authority, device: Identity, spare_pin: Pin
) -> tuple[PinSet, ...]:
    """One set of each trust."""
    return (
        public_set,
        PinSet(
            name="mesh",
            hosts=(HostPattern.parse(MESH),),
            mode=Mode.ENFORCE,
            trust=Trust.PRIVATE,
            anchors=(der(mesh.certificate),),
        ),
        PinSet(
            name="device",
            hosts=(HostPattern.parse(DEVICE),),
            mode=Mode.ENFORCE,
            trust=Trust.PINS_ONLY,
            leaf=(Pin.parse(device.spki_pin),),
            backup=(spare_pin,),
        ),
    )


@pytest.fixture
def mixed(sets: tuple[PinSet, ...]) -> Policy:
    """A policy with all three."""
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=sets)


@pytest.fixture
def device_policy(sets: tuple[PinSet, ...]) -> Callable[..., Policy]:
    """Return a function that makes a policy with other fields for the device's set."""

    def make(**fields: Any) -> Policy:  # noqa: ANN401
        return Policy(unlisted=Unlisted.REFUSE, pin_sets=(replace(sets[2], **fields),))

    return make


@pytest.fixture(scope="session")
def inspection() -> Authority:
    """The company's CA, which no store has."""
    return Authority.new("Inspection CA")


@pytest.fixture(scope="session")
def proxy(inspection: Authority) -> Identity:
    """What the proxy shows for every host."""
    below = inspection.intermediate("Inspection proxy")
    return below.issue(*_NAMES, DEVICE, MESH)


@pytest.fixture(scope="session")
def exception(inspection: Authority) -> LocalException:
    """The exception for localhost, for a month."""
    return LocalException(
        hosts=(HostPattern.parse("localhost"),),
        anchor=der(inspection.certificate),
        until=datetime.now(UTC) + timedelta(days=30),
        reason="the office proxy, ticket NET-12",
    )


class ListSink:
    """Collects what is reported."""

    def __init__(self, violations: list[Violation]) -> None:
        self._violations = violations

    def report(self, violation: Violation) -> None:
        """Append a violation."""
        self._violations.append(violation)


@pytest.fixture
def violations() -> list[Violation]:
    """What was reported."""
    return []


@pytest.fixture
def pinned(
    policy: Policy, anchors: Path, violations: list[Violation]
) -> Callable[..., PinningContext]:
    """Return a function that makes a pinned context, which reports to `violations`."""

    def make(
        source: PolicySource = policy,
        sink: ViolationSink | None = None,
        exceptions: tuple[LocalException, ...] = (),
    ) -> PinningContext:
        return PinningContext(
            source,
            sink=sink or ListSink(violations),
            public_anchors=anchors,
            exceptions=exceptions,
        )

    return make


@pytest.fixture
def installed(policy: Policy, violations: list[Violation]) -> Iterator[Callable[..., None]]:
    """Return a function that makes enforcement process-wide; in the end it is not."""

    def make(source: PolicySource = policy) -> None:
        install(source, sink=ListSink(violations))

    yield make
    uninstall()


@pytest.fixture
def stock(anchors: Path) -> Callable[[], ssl.SSLContext]:
    """Return a function that makes a context as an application does."""
    return lambda: ssl.create_default_context(cafile=anchors)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    """Each TLS version in turn."""
    return ssl.TLSVersion(request.param)


@pytest.fixture
def start(version: ssl.TLSVersion) -> Iterator[Callable[..., LabServer]]:
    """Return a function that starts a server of this TLS version, by default one for HTTP."""
    with ExitStack() as servers:

        def start(identity: Identity, make: Callable[..., LabServer] = LabServer) -> LabServer:
            return servers.enter_context(
                make(identity, minimum_version=version, maximum_version=version)
            )

        yield start


@pytest.fixture
def still_open() -> Iterator[ExitStack]:
    """The connections that the test has not closed itself."""
    with ExitStack() as connections:
        yield connections


@pytest.fixture
def tcp(still_open: ExitStack) -> Callable[[LabServer], socket.socket]:
    """Return a function that opens a TCP connection to a server."""

    def connect(server: LabServer) -> socket.socket:
        address = (server.address, server.port)
        return still_open.enter_context(socket.create_connection(address, timeout=5))

    return connect


@pytest.fixture
def connect(
    tcp: Callable[[LabServer], socket.socket], still_open: ExitStack
) -> Callable[..., ssl.SSLSocket]:
    """Return a function that wraps a blocking TCP connection to a server."""

    def connect(
        server: LabServer,
        context: ssl.SSLContext,
        name: str = "localhost",
        session: ssl.SSLSession | None = None,
        *,
        do_handshake_on_connect: bool = True,
    ) -> ssl.SSLSocket:
        return still_open.enter_context(
            context.wrap_socket(
                tcp(server),
                server_hostname=name,
                session=session,
                do_handshake_on_connect=do_handshake_on_connect,
            )
        )

    return connect


@pytest.fixture
def over_bio(
    tcp: Callable[[LabServer], socket.socket],
) -> Callable[..., tuple[ssl.SSLObject, Drive]]:
    """Return a function that makes a BIO object, and with it a function that drives its methods.

    Everything that OpenSSL wants to send is sent at once, as event loops do.
    """

    def make(
        server: LabServer,
        context: ssl.SSLContext,
        name: str | None = "localhost",
        session: ssl.SSLSession | None = None,
    ) -> tuple[ssl.SSLObject, Drive]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
        connection = tcp(server)

        def drive(step: Callable[..., Result], *arguments: object) -> Result:
            while True:
                try:
                    return step(*arguments)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    connection.sendall(outgoing.read())
                if data := connection.recv(65536):
                    incoming.write(data)
                else:
                    incoming.write_eof()

        return tls, drive

    return make


@pytest.fixture(params=["socket", "bio"])
def exchange(
    request: pytest.FixtureRequest,
    connect: Callable[..., ssl.SSLSocket],
    over_bio: Callable[..., tuple[ssl.SSLObject, Drive]],
) -> Callable[..., tuple[bytes, ssl.SSLSession | None]]:
    """Return a function that sends a request, over sockets and over BIOs.

    It returns the answer and the session.
    """

    def over_socket(*arguments: object) -> tuple[bytes, ssl.SSLSession | None]:
        client = connect(*arguments)
        client.sendall(_REQUEST)
        return client.recv(65536), client.session

    def over_objects(*arguments: object) -> tuple[bytes, ssl.SSLSession | None]:
        tls, drive = over_bio(*arguments)
        drive(tls.do_handshake)
        drive(tls.write, _REQUEST)
        return drive(tls.read, 65536), tls.session

    return over_socket if request.param == "socket" else over_objects


@pytest.fixture
def received(still_open: ExitStack) -> Callable[[LabServer], tuple[int, int]]:
    """Return a function that tells how many application and plain-text bytes reached a server.

    It closes the client's connections first: only then it is final what was sent.
    """

    def count(server: LabServer) -> tuple[int, int]:
        still_open.close()
        seen = server.wait_until(lambda log: bool(log) and all(one.closed for one in log))
        return (
            sum(connection.application_bytes for connection in seen),
            sum(connection.plain_bytes for connection in seen),
        )

    return count


PAYMENTS = "spiffe://example.org/payments"


@pytest.fixture(scope="session")
def payments(mesh: Authority) -> Identity:
    """A client with a SPIFFE ID, below the private root."""
    return mesh.intermediate("Mesh CA").issue(PAYMENTS, usage="both", common_name="payments")


@pytest.fixture(scope="session")
def client_set(payments: Identity, mesh: Authority) -> Callable[..., PinSet]:
    """Return a function that makes the set of that client, by its key under the private root."""

    def make(*clients: str, **fields: Any) -> PinSet:  # noqa: ANN401
        sound: dict[str, Any] = {
            "name": "payments",
            "hosts": (),
            "mode": Mode.ENFORCE,
            "trust": Trust.PRIVATE,
            "anchors": (der(mesh.certificate),),
            "leaf": (Pin.parse(payments.spki_pin),),
        }
        entries = tuple(map(ClientIdentity, clients or (PAYMENTS,)))
        return PinSet(clients=entries, **sound | fields)

    return make


@pytest.fixture(scope="session")
def client_policy(client_set: Callable[..., PinSet]) -> Policy:
    """A server's policy with that set; what it says of unlisted hosts is not about clients."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=(client_set(),))


@pytest.fixture
def server_context(
    client_policy: Policy, identity: Identity, violations: list[Violation]
) -> Callable[..., PinnedServerContext]:
    """Return a function that makes a pinned server context, which reports to `violations`."""

    class ListSink:
        def report(self, violation: Violation) -> None:
            violations.append(violation)

    def make(source: PolicySource = client_policy, **options: Any) -> PinnedServerContext:  # noqa: ANN401
        context = PinningContext.for_server(source, **{"sink": ListSink()} | options)
        identity.load_into(context)
        return context

    return make


class Application:
    """Serves on loopback, over blocking sockets or asyncio, and notes what reaches it."""

    def __init__(self, context: ssl.SSLContext, *, blocking: bool) -> None:
        """Begin to serve; `saw` grows with each client that gets through."""
        self.saw: list[tuple[PinnedClient | None, bytes]] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept) if blocking else None
        self._loop = None if blocking else LoopThread(self._serve(), "application")
        if self._thread:
            self._thread.start()

    def close(self) -> None:
        """End, so that what was seen and reported is final."""
        if self._thread:
            with contextlib.suppress(OSError):  # closed already
                self._listener.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        if self._loop:
            self._loop.stop()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(5)
            with (
                raw,
                contextlib.suppress(OSError),
                self._context.wrap_socket(raw, server_side=True) as connection,
            ):
                self.saw.append((pinned_client_of(connection), connection.recv(100)))
                connection.sendall(b"welcome")
                connection.unwrap().close()

    async def _serve(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = pinned_client_of(writer.get_extra_info("ssl_object"))
            with contextlib.suppress(OSError):
                self.saw.append((client, await reader.read(100)))
                writer.write(b"welcome")
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(answer, sock=self._listener, ssl=self._context)
        try:
            async with server:
                await server.serve_forever()
        finally:
            answering = asyncio.all_tasks() - {asyncio.current_task()}
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)


@pytest.fixture(params=[True, False], ids=["socket", "asyncio"])
def serve(
    request: pytest.FixtureRequest, still_open: ExitStack
) -> Callable[[ssl.SSLContext], Application]:
    """Return a function that starts an application behind a context, on either way to serve."""

    def start(context: ssl.SSLContext) -> Application:
        application = Application(context, blocking=request.param)
        still_open.callback(application.close)
        return application

    return start


@pytest.fixture
def client_context(version: ssl.TLSVersion, honest: Authority) -> Callable[..., ssl.SSLContext]:
    """Return a function that makes a stock client context that shows an identity, or none."""

    def make(shown: Identity | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        context.load_verify_locations(cadata=honest.pem)
        if shown is not None:
            shown.load_into(context)
        return context

    return make


@pytest.fixture
def visit(
    client_context: Callable[..., ssl.SSLContext],
) -> Callable[..., tuple[bytes, ssl.SSLSession | None, bool]]:
    """Return a function by which a stock client says hello.

    It returns the answer (nothing if it was refused), the session, and whether one was resumed.
    """

    def say_hello(
        application: Application,
        shown: Identity | ssl.SSLContext | None,
        session: ssl.SSLSession | None = None,
    ) -> tuple[bytes, ssl.SSLSession | None, bool]:
        context = shown if isinstance(shown, ssl.SSLContext) else client_context(shown)
        answer, given, is_resumed = b"", None, False
        with (
            socket.create_connection(application.address, timeout=5) as raw,
            contextlib.suppress(ssl.SSLError, ConnectionError),
            context.wrap_socket(raw, server_hostname="localhost", session=session) as tls,
        ):
            given, is_resumed = tls.session, bool(tls.session_reused)
            tls.sendall(b"hello")
            answer = tls.recv(100)
            tls.unwrap().close()
        return answer, given, is_resumed

    return say_hello
