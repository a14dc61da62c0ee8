import socket
import ssl
from collections.abc import Callable

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.errors import HostNameError, PinnedContextError
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy

NOTHING = (0, 0)

Start = Callable[..., LabServer]
Pinned = Callable[..., PinningContext]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Received = Callable[[LabServer], tuple[int, int]]
PolicyFor = Callable[..., Policy]


def _wrap_bio(context: ssl.SSLContext, name: object) -> ssl.SSLObject:
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)  # type: ignore[arg-type]


@pytest.mark.threat("T14", "T15")
@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST", "LocalHost", "localhost.", b"LOCALHOST."]
)
def test_each_spelling_of_a_name_has_its_pins(
    start: Start,
    identity: Identity,
    impostor: Identity,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    name: str | bytes,
) -> None:
    """Case and a trailing dot (CVE-2015-0832) neither lose the pins nor lock anyone out."""
    server, rogue = start(identity), start(impostor)

    answer, _ = exchange(server, pinned(), name)
    with pytest.raises(PinViolationError):
        exchange(rogue, pinned(), name)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert NOTHING == received(rogue)
    assert "localhost" == server.connections[0].server_name


@pytest.mark.threat("T13", "T16")
@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("::1", "[0:0:0:0:0:0:0:1]"),
        ("xn--bcher-kva.example", "BÜCHER.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.example", "bücher.example."),
    ],
)
def test_addresses_and_international_names_have_their_pins(
    *,
    start: Start,
    identity: Identity,
    impostor: Identity,
    pinned: Pinned,
    policy_for: PolicyFor,
    exchange: Exchange,
    received: Received,
    pattern: str,
    name: str,
) -> None:
    """IP literals and IDN hosts are found in any of their forms, by OpenSSL and by the policy."""
    policy, rogue = policy_for(hosts=(pattern,)), start(impostor)

    answer, _ = exchange(start(identity), pinned(policy), name)
    with pytest.raises(PinViolationError):
        exchange(rogue, pinned(policy), name)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert NOTHING == received(rogue)


@pytest.mark.threat("T16", "T17")
@pytest.mark.parametrize(
    "name",
    [
        "localhost\0.other.example",
        " localhost",
        "localhost\n",
        "local\u212aost",
        "localho\u017ft",
        "user@localhost",
        "localhost:443",
        "https://localhost",
        "fe80::1%lo",
        "127.1",
        "0x7f000001",
        "local%68ost",
        "..",
    ],
)
def test_what_is_no_name_is_refused_before_anything_is_sent(pinned: Pinned, name: str) -> None:
    """NUL, white space, names that look alike and number forms are errors, never "not pinned"."""
    context = pinned()

    with socket.socket() as plain:
        with pytest.raises(HostNameError):
            context.wrap_socket(plain, server_hostname=name)
        assert -1 != plain.fileno()
    with pytest.raises(HostNameError):
        _wrap_bio(context, name)


# Debian's Python 3.11 warns here, in its own mend of the CVE.
@pytest.mark.threat("T12")
@pytest.mark.filterwarnings("ignore:check_hostname requires server_hostname")
@pytest.mark.parametrize("name", [None, "", b""])
def test_a_nameless_connection_is_refused(pinned: Pinned, name: str | bytes | None) -> None:
    """Without a name nothing would be checked before Python 3.14 (CVE-2026-19553)."""
    context = pinned()

    with socket.socket() as plain, pytest.raises(PinnedContextError, match="name"):
        context.wrap_socket(plain, server_hostname=name)
    with pytest.raises(PinnedContextError, match="name"):
        _wrap_bio(context, name)
    with pytest.raises(PinnedContextError, match="name"):  # past wrap_bio()
        ssl.SSLContext.wrap_bio(context, ssl.MemoryBIO(), ssl.MemoryBIO())


def test_the_server_side_is_refused(pinned: Pinned) -> None:
    """A client context does not serve."""
    context = pinned()

    with socket.socket() as plain, pytest.raises(PinnedContextError, match="clients"):
        context.wrap_socket(plain, server_side=True)
    with pytest.raises(PinnedContextError, match="clients"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
