import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.errors import HostNameError, PinnedContextError
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.interfaces import OwnChannel
from holdfast.pins.policy import Policy, Unlisted

SERVED = b"HTTP/1.1 200 OK"

Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Start = Callable[..., LabServer]


@pytest.fixture
def channel(anchors: Path) -> OwnChannel:
    """A way to localhost."""
    return VerifiedChannel("localhost", public_anchors=anchors)


def test_it_works_while_everything_else_is_refused(
    start: Start,
    identity: Identity,
    installed: Callable[..., None],
    channel: OwnChannel,
    exchange: Exchange,
) -> None:
    """A policy that refuses all hosts does not cut Holdfast off, whenever the context is made."""
    server, before = start(identity), channel.context()
    installed(Policy(unlisted=Unlisted.REFUSE))

    for context in (before, channel.context()):
        answer, _ = exchange(server, context)
        assert answer.startswith(SERVED)


def test_it_leads_to_nobody_else(
    start: Start, identity: Identity, channel: OwnChannel, exchange: Exchange
) -> None:
    """Whoever gets hold of the context cannot go round the pins with it."""
    with pytest.raises(PinnedContextError, match="own"):
        exchange(start(identity), channel.context(), "127.0.0.1")


def test_it_verifies(
    start: Start, device: Identity, channel: OwnChannel, exchange: Exchange
) -> None:
    """A server that nobody vouches for is refused, and verification cannot be switched off."""
    context = channel.context()

    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(start(device), context)
    with pytest.raises(PinnedContextError):
        context.verify_mode = ssl.CERT_NONE
    with pytest.raises(PinnedContextError):
        context.check_hostname = False


def test_its_hosts_are_names() -> None:
    """A mistyped origin is told when it is given."""
    with pytest.raises(HostNameError):
        VerifiedChannel("https://updates.example.com")
