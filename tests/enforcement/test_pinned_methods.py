import socket
import ssl
from collections.abc import Callable

import pytest

from holdfast.enforcement import pinned_methods
from holdfast.enforcement.context import PinningContext
from holdfast.errors import PinnedContextError

Pinned = Callable[..., PinningContext]


@pytest.mark.threat("T29")
def test_a_patched_ssl_is_noticed(pinned: Pinned, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a patch makes Python return other classes, no connection leaves the context."""

    class Patched(ssl.SSLObject):
        pass

    made = Patched.__new__(Patched)
    monkeypatch.setattr(pinned_methods, "_stock_wrap_bio", lambda *_, **__: made)
    with pytest.raises(PinnedContextError, match=r"ssl was patched: .*Patched"):
        pinned().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_a_patched_socket_is_closed(pinned: Pinned, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for sockets: what came back is closed."""
    with socket.socket() as stray:
        monkeypatch.setattr(pinned_methods, "_stock_wrap_socket", lambda *_, **__: stray)
        with pytest.raises(PinnedContextError, match="ssl was patched"):
            pinned().wrap_socket(stray, server_hostname="localhost")

        assert -1 == stray.fileno()
