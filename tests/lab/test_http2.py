import ssl
import sys

import httpx
import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.http2 import http2_server, shared_connection
from holdfast.lab.stage import LOOPBACK, Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage."""
    return Stage.new()


@pytest.mark.parametrize(("offers", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_answers(stage: Stage, offers: bool, version: str) -> None:
    """A client is answered in the protocol that it offers."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    with http2_server(stage.server) as server:
        with httpx.Client(verify=context, http2=offers, trust_env=False) as client:
            response = client.get(f"{server.url}/path")
        (seen,) = server.wait_for(1)

    assert (200, version, "hello from the lab\n") == (
        response.status_code,
        response.http_version,
        response.text,
    )
    assert (f"GET /path {version}",) == seen.requests


@pytest.mark.parametrize("offers", [True, False])
def test_a_connection_that_goes_on(stage: Stage, offers: bool) -> None:
    """What comes behind the redirect on the same connection has an entry of its own."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    with shared_connection(stage.server, stage.host) as server:
        with httpx.Client(
            verify=context, http2=offers, trust_env=False, follow_redirects=True
        ) as client:
            response = client.get(f"{server.url}/")
        first, second = server.wait_until(lambda log: len(log) == 2 and all(o.closed for o in log))

    assert "/1" == response.url.path
    assert (True, False) == (first.prelude, second.prelude)
    assert first.version == second.version
    assert second.application_bytes > 0


def test_the_port_is_the_one_that_was_asked_for(stage: Stage) -> None:
    """Who comes through a relay is sent on to the relay's port, by the authority in the request."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    with (
        shared_connection(stage.server, stage.host) as server,
        httpx.Client(verify=context, http2=True, trust_env=False) as client,
    ):
        response = client.get(f"{server.url}/", headers={"host": f"{LOOPBACK}:7"})

    assert f"https://{stage.host}:7/1" == response.headers["location"]


def test_without_h2(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library there is no such server, and the remedy is told."""
    monkeypatch.setitem(sys.modules, "h2.connection", None)

    with pytest.raises(HoldfastError, match="h2, which is not installed"):
        http2_server(stage.server)
