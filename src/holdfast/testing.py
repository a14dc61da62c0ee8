"""A pytest fixture for people who test their own pinned code: a server, its policy, an impostor.

Use it with `pytest_plugins = ["holdfast.testing"]` in your top-level `conftest.py`, and ask for
`pinned_server` in a test. Everything is real and on loopback: TLS handshakes, a policy file, trust
anchors. What a client sent is judged by what the servers received, not by what the client says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Authority, Identity, PrivateKey, new_key
from holdfast.lab.server import Connection, LabServer
from holdfast.pins.pin_set import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from holdfast.pins.interfaces import ViolationSink
    from holdfast.pins.policy import Policy

__all__ = ["PinnedServer", "pinned_server"]

_PINNED_HOST = "localhost"
_UNLISTED_HOST = "127.0.0.1"

_POLICY = """\
[holdfast]
format = 1
unlisted = "allow"

[pin_set.pinned-server]
hosts = ["{host}"]
mode = "{mode}"
leaf = ["{leaf}"]
backup = ["{backup}"]
"""


class PinnedServer:
    """A TLS server on loopback whose key a policy pins, with an impostor beside it.

    The server speaks HTTP/1.1 and answers every request with "hello from the lab". Its host is
    "localhost", which the policy pins; as "127.0.0.1" the same server is a host that the policy
    does not list. Use it as a context manager where a fixture does not fit.

    Attributes:
        policy: Pins the key of the server and, as the backup, its next key.
        policy_path: The same policy as a `pins.toml`.
        anchors_path: PEM trust anchors: the server's CA, and the impostor's, as in a compromised
            trust store. Without pins, every certificate here would be accepted.
        impostor: A second server, with a trusted certificate for the same names and a key that no
            pin names: what an interception looks like. Connect to its `url` or `port`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        mode: Mode = Mode.ENFORCE,
        serve: Callable[[Identity], LabServer] = LabServer,
    ) -> None:
        """Make the keys, certificates and files; the servers start on entry.

        Args:
            directory: Where to write `pins.toml` and `anchors.pem`.
            mode: The mode of the pin set.
            serve: Makes a server that shows an identity, for another body or protocol than the
                stock one: `functools.partial(LabServer, body=b"...")`.
        """
        self._authority = Authority.new("CA of the pinned server")
        self._key, self._next_key = new_key(), new_key()
        current, following = self._issue(self._key), self._issue(self._next_key)
        attacker = Authority.new("CA of the impostor")
        self._server = serve(current)
        self.impostor = serve(attacker.issue(_PINNED_HOST, _UNLISTED_HOST))
        self.anchors_path = directory / "anchors.pem"
        self.anchors_path.write_text(self._authority.pem + attacker.pem, "ascii")
        self.policy_path = directory / "pins.toml"
        pins = {"leaf": current.spki_pin, "backup": following.spki_pin}
        self.policy_path.write_text(
            _POLICY.format(host=_PINNED_HOST, mode=mode.value, **pins), "ascii"
        )
        self.policy: Policy = load_policy(self.policy_path)

    def __enter__(self) -> Self:
        """Start both servers."""
        self._server.start()
        self.impostor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both servers; their logs stay."""
        self.impostor.close()
        self._server.close()

    @property
    def url(self) -> str:
        """The URL of the server, "https://localhost:PORT"."""
        return self._server.url

    @property
    def host(self) -> str:
        """The pinned name of the server, and of the impostor."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port of the server."""
        return self._server.port

    @property
    def connections(self) -> tuple[Connection, ...]:
        """What the server saw of each connection, in the order in which clients connected."""
        return self._server.connections

    @property
    def received(self) -> bytes:
        """What reached the application, of all connections together."""
        return b"".join(connection.received for connection in self.connections)

    @property
    def application_bytes(self) -> int:
        """How many bytes reached the application, of all connections together."""
        return self._server.application_bytes

    def wait_for(self, closed: int, timeout: float = 5.0) -> tuple[Connection, ...]:
        """Wait until so many connections are over: only then is it final what they sent.

        Args:
            closed: How many connections.
            timeout: Seconds.

        Raises:
            TimeoutError: They are not over; the text shows what the server saw.
        """
        return self._server.wait_for(closed, timeout)

    def context(self, *, sink: ViolationSink | None = None) -> PinningContext:
        """Return a client context with the policy and the trust anchors of this server."""
        return PinningContext(self.policy, sink=sink, public_anchors=self.anchors_path)

    def renew_certificate(self) -> None:
        """Show a new certificate for the same key: a pinned client goes on."""
        self._server.switch(self._issue(self._key))

    def switch_to_next_key(self) -> None:
        """Show the key that the policy holds in reserve: a pinned client goes on."""
        self._server.switch(self._issue(self._next_key))

    def switch_to_unannounced_key(self) -> None:
        """Show a new key, rightly certified, that no pin names: a pinned client refuses."""
        self._server.switch(self._authority.issue(_PINNED_HOST, _UNLISTED_HOST))

    def _issue(self, key: PrivateKey) -> Identity:
        return self._authority.issue(_PINNED_HOST, _UNLISTED_HOST, key=key)


@pytest.fixture
def pinned_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PinnedServer]:
    """Yield a running `PinnedServer`, made anew for each test."""
    with PinnedServer(tmp_path_factory.mktemp("pinned_server")) as server:
        yield server
