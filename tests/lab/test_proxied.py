import socket
import ssl

import pytest
import urllib3

from holdfast.lab.proxied import http_proxy, https_proxy
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage."""
    return Stage.new()


@pytest.fixture(scope="module")
def context(stage: Stage) -> ssl.SSLContext:
    """Return the context of a client that trusts the stage."""
    return ssl.create_default_context(cadata=stage.anchors_pem)


def _through(server: LabServer, scheme: str, context: ssl.SSLContext) -> bytes:
    proxy = urllib3.ProxyManager(
        f"{scheme}://{server.host}:{server.port}",
        ssl_context=context,
        proxy_ssl_context=context,
        retries=False,
        timeout=5,
    )
    with proxy:
        return proxy.request("GET", f"https://localhost:{server.port}/").data


def test_http(stage: Stage, context: ssl.SSLContext) -> None:
    """What is asked in the clear is no loot; what is asked behind the proxy is."""
    with http_proxy(stage.server) as server:
        assert b"hello from the lab\n" == _through(server, "http", context)
        (seen,) = server.wait_for(1)

    assert ("GET / HTTP/1.1",) == seen.requests
    assert (b"", True) == (seen.received_plain, seen.handshake_completed)


def test_https(stage: Stage, context: ssl.SSLContext) -> None:
    """The proxy's own entry is a prelude, and what is within has another."""
    with https_proxy(stage.server, stage.server) as server:
        assert b"hello from the lab\n" == _through(server, "https", context)
        outer, inner = server.wait_for(2)

    assert (True, False) == (outer.prelude, inner.prelude)
    assert ("GET / HTTP/1.1",) == inner.requests


def test_each_handshake_is_seen(stage: Stage, context: ssl.SSLContext) -> None:
    """A client that refuses what is within has talked to the proxy alone."""
    with https_proxy(stage.server, stage.rogue.issue("elsewhere.invalid")) as server:
        with pytest.raises(urllib3.exceptions.HTTPError, match="mismatch"):
            _through(server, "https", context)
        outer, inner = server.wait_for(2)

    assert (True, False) == (outer.handshake_completed, inner.handshake_completed)
    assert 0 == inner.application_bytes


def test_who_takes_a_proxy_for_the_server(stage: Stage, context: ssl.SSLContext) -> None:
    """A client that ignores the proxy is not served, and has not been attacked."""
    with http_proxy(stage.server) as server:
        with (
            socket.create_connection((server.address, server.port), 5) as tcp,
            pytest.raises(OSError, match=r"EOF|reset"),
        ):
            context.wrap_socket(tcp, server_hostname="localhost")
        server.wait_for(1)
    with https_proxy(stage.server, stage.server) as server:
        with (
            socket.create_connection((server.address, server.port), 5) as tcp,
            context.wrap_socket(tcp, server_hostname="localhost") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"" == tls.recv(1000)
        (seen,) = server.wait_for(1)

    assert seen.prelude
