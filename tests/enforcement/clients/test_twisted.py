from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface.verify import verifyObject

import holdfast
from holdfast.enforcement.clients.pyopenssl import OpenSSLPinning
from holdfast.enforcement.clients.twisted import PinningPolicyForHTTPS

# Said of each body that was there at once, whoever made the connection.
_QUIET = """\
import warnings
warnings.filterwarnings("ignore", "Using readBody with a transport", DeprecationWarning)
"""


@pytest.fixture(scope="session")
def interpreter(python_with: Callable[..., Path]) -> Path:
    """A Python with Twisted. Its TLS needs service-identity, which makes pymongo use pyOpenSSL."""
    return python_with("twisted[tls]", "pyopenssl")


@pytest.mark.full
@pytest.mark.timeout(300)
def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("pyopenssl", "Twisted", change=lambda code: _QUIET + code)


def test_it_makes_pinned_connections(policy: holdfast.Policy, anchors: Path) -> None:
    """What an `Agent` asks for answers with a pinned connection that knows its protocol."""
    pinning = OpenSSLPinning(policy, public_anchors=anchors)
    answers = PinningPolicyForHTTPS(pinning)
    creator = answers.creatorForNetloc(b"localhost", 443)
    protocol = object()

    assert verifyObject(IPolicyForHTTPS, answers)
    assert verifyObject(IOpenSSLClientConnectionCreator, creator)
    connection = creator.clientConnectionForTLS(protocol)  # type: ignore[arg-type]
    assert protocol is connection.get_app_data()
    assert b"localhost" == connection.get_servername()
