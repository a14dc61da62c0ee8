import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

import holdfast
from holdfast.enforcement.clients import checked_transport
from holdfast.enforcement.clients import httpx as for_httpx
from holdfast.enforcement.clients import httpx2 as for_httpx2
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer

TRANSPORTS = {
    "httpx": (httpx, for_httpx.PinningTransport),
    "httpx-async": (httpx, for_httpx.AsyncPinningTransport),
    "httpx2": (httpx2, for_httpx2.PinningTransport),
    "httpx2-async": (httpx2, for_httpx2.AsyncPinningTransport),
}
Get = Callable[..., Any]


@pytest.fixture(params=TRANSPORTS)
def get(request: pytest.FixtureRequest) -> Get:
    """Return a function that makes a transport, and with it a request."""
    library, transport = TRANSPORTS[request.param]
    is_async = "async" in request.param

    def get(policy: object, url: str, *, request: Any = (), **options: object) -> Any:  # noqa: ANN401
        made = transport(policy, **options)  # type: ignore[arg-type]
        if not is_async:
            with library.Client(transport=made, follow_redirects=True) as client:
                return client.get(url, **dict(request))

        async def fetch() -> Any:  # noqa: ANN401
            async with library.AsyncClient(transport=made, follow_redirects=True) as client:
                return await client.get(url, **dict(request))

        return asyncio.run(fetch())

    return get


def test_a_violation_is_not_retried(get: Get, pinned_server: PinnedServer) -> None:
    """Whatever the caller asks for, an impostor is visited once."""
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError)) as caught:
        get(pinned_server.context(), pinned_server.impostor.url, retries=3)

    assert holdfast.violation_from(caught.value) is not None
    assert 1 == len(pinned_server.impostor.wait_for(closed=1))
    assert 0 == pinned_server.impostor.application_bytes


@pytest.mark.parametrize(("retries", "connections"), [(0, 1), (2, 3)])
def test_other_failures_are_retried(
    *,
    get: Get,
    retries: int,
    connections: int,
    pinned: Callable[..., PinningContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is no violation, as an unlisted host that does not verify, is tried again."""
    monkeypatch.setattr(checked_transport, "_FACTOR", 0.001)

    with LabServer(Authority.new("Unknown").issue("127.0.0.1"), name="127.0.0.1") as server:
        with pytest.raises((httpx.ConnectError, httpx2.ConnectError)) as caught:
            get(pinned(), server.url, retries=retries)
        assert holdfast.violation_from(caught.value) is None
        assert connections == len(server.wait_for(closed=connections))


@pytest.mark.parametrize("option", ["verify", "cert"])
def test_nothing_else_verifies(get: Get, option: str, pinned_server: PinnedServer) -> None:
    """What would take the place of the pinned context is an error, not ignored."""
    with pytest.raises(TypeError, match="with its PinningContext"):
        get(pinned_server.context(), pinned_server.url, **{option: False})


def test_pins_are_those_of_the_url(get: Get, pinned_server: PinnedServer) -> None:
    """A redirect keeps the name for TLS that a request brings: it brings no host other pins."""
    context = pinned_server.context()
    with LabServer(None, name="127.0.0.1", redirects={"/": pinned_server.impostor.url}) as start:
        with pytest.raises(holdfast.HoldfastError, match="pins of another name"):
            get(context, start.url + "/", request={"extensions": {"sni_hostname": "127.0.0.1"}})
        assert () == pinned_server.impostor.connections

    by_address = f"https://127.0.0.1:{pinned_server.port}"
    options = {"extensions": {"sni_hostname": "localhost"}}
    assert 200 == get(context, by_address, request=options).status_code


def test_a_context_brings_its_own_anchors(get: Get, pinned_server: PinnedServer) -> None:
    """Anchors make a context, and beside a finished one they are an error."""
    anchors = pinned_server.anchors_path
    response = get(pinned_server.policy, pinned_server.url, public_anchors=anchors)
    assert "hello from the lab\n" == response.text

    with pytest.raises(TypeError, match="belong to the PinningContext"):
        get(pinned_server.context(), pinned_server.url, public_anchors=anchors)


def test_the_pauses_are_those_of_httpcore() -> None:
    """The first retry comes at once, and each pause after the second is twice as long."""
    pauses = checked_transport._pauses()

    assert [0.0, 0.5, 1.0, 2.0] == [next(pauses) for _ in range(4)]
