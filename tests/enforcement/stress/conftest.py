"""Many handshakes in little time: both ends in one process, over memory instead of sockets.

They are OpenSSL's own handshakes all the same. What must not pass is looked for at the server's
end, never at the client's.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.lab.authorities import Authority, Identity
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy

DESCRIPTORS = Path("/proc/self/fd")
_MOST_STEPS = 12  # a full handshake takes 4 or 5


class Source:
    """A policy source that is told what to say."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy of now."""
        return self.policy


class Pair:
    """A client and a server whose bytes go through memory.

    Attributes:
        client: The pinned end.
        server: The other one.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        serving: ssl.SSLContext,
        host: str = "localhost",
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.to_client, self.to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(
            self.to_client, self.to_server, server_hostname=host, session=session
        )
        self.server = serving.wrap_bio(self.to_server, self.to_client, server_side=True)

    def handshake(self, steps: int = _MOST_STEPS) -> bool:
        """Let the ends take turns, and tell whether the client is through.

        Raises:
            OSError: What the client raises. What the server raises is its own affair.
        """
        for step in range(steps):
            try:
                (self.server if step % 2 else self.client).do_handshake()
            except ssl.SSLWantReadError:
                continue
            except OSError:
                if step % 2 == 0:
                    raise
                continue
            if step % 2:
                self.client.do_handshake()
                return True
        return False

    def arrived(self) -> bytes:
        """Return the application data that the server finds."""
        try:
            self.server.do_handshake()
            return self.server.read(65536)
        except OSError:
            return b""

    def resumable(self) -> ssl.SSLSession | None:
        """Return the session, after the ticket that TLS 1.3 sends behind the handshake."""
        self.server.write(b"ticket")
        self.client.read(6)
        return self.client.session


@pytest.fixture
def source(policy: Policy) -> Source:
    """A source that pins the server's key at first."""
    return Source(policy)


@pytest.fixture
def denying(policy: Policy, identity: Identity) -> Policy:
    """The policy after the key was stolen."""
    return replace(policy, denied=(Pin.parse(identity.spki_pin),))


@pytest.fixture(scope="session")
def untrusted() -> Identity:
    """A server that no anchor vouches for."""
    return Authority.new("Unknown CA").issue("localhost")


@pytest.fixture(scope="session")
def pair() -> type[Pair]:
    """What makes a client and a server that talk through memory."""
    return Pair


@pytest.fixture(scope="session")
def descriptors() -> Callable[[], int]:
    """Return a function that counts this process's open descriptors."""
    if not DESCRIPTORS.exists():
        pytest.skip("needs Linux's list of descriptors")
    return lambda: len(os.listdir(DESCRIPTORS))  # noqa: PTH208  the names are all that is wanted


@pytest.fixture
def under_load(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Return a function that runs a scenario of `under_load.py`, for a minute at most."""

    def run(scenario: str) -> subprocess.CompletedProcess[str]:
        program = Path(__file__).with_name("under_load.py")
        # Python 3.12 warns of forks beside threads: that is what this is about.
        quiet = ("-W", "ignore::DeprecationWarning")
        return subprocess.run(
            [sys.executable, *quiet, str(program), scenario, str(tmp_path)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
