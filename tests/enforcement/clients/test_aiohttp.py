import asyncio
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

import holdfast
from holdfast.enforcement.clients.aiohttp import PinningConnector, pinned_session
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer


class _Twice(AbstractResolver):
    """Knows two addresses for each host, which lead to the same server."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the same address twice."""
        return [
            ResolveResult(
                hostname=host, host=host, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for host in ("127.0.0.1", "127.0.0.1")
        ]

    async def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize("recipe", ["ClientSession", "pinned_session"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("aiohttp", recipe)


@pytest.mark.parametrize(
    ("make", "connections"),
    [
        (lambda context: aiohttp.TCPConnector(ssl=context, resolver=_Twice()), 2),
        (lambda context: PinningConnector(context, resolver=_Twice()), 1),
    ],
    ids=["stock", "ours"],
)
async def test_a_violation_is_visited_once(
    make: Callable[[object], aiohttp.TCPConnector], connections: int, pinned_server: PinnedServer
) -> None:
    """The stock connector tries each address of an impostor, ours none after the first."""
    impostor = pinned_server.impostor
    async with aiohttp.ClientSession(connector=make(pinned_server.context())) as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
            await session.get(impostor.url)

    assert holdfast.violation_from(caught.value) is not None
    assert connections == len(await asyncio.to_thread(impostor.wait_for, connections))
    assert 0 == impostor.application_bytes


async def test_other_failures_go_on_to_the_next_address(pinned_server: PinnedServer) -> None:
    """What is no violation is left to aiohttp."""
    connector = PinningConnector(pinned_server.context(), resolver=_Twice())
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with pinned_session(connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"https://localhost:{port}")

    assert holdfast.violation_from(caught.value) is None


@pytest.mark.threat("T30")
@pytest.mark.parametrize(
    "own",
    [False, aiohttp.Fingerprint(bytes(32)), ssl.create_default_context()],
    ids=["off", "Fingerprint", "context"],
)
async def test_a_request_brings_no_tls_of_its_own(
    own: ssl.SSLContext | bool | aiohttp.Fingerprint, pinned_server: PinnedServer
) -> None:
    """`ssl=` of a request would take the place of the pins, and is a clear error instead."""
    async with pinned_session(pinned_server.context()) as session:
        with pytest.raises(holdfast.HoldfastError, match="remove ssl="):
            await session.get(pinned_server.impostor.url, ssl=own)
        assert () == pinned_server.impostor.connections
        async with session.get(pinned_server.url, ssl=True) as response:
            assert 200 == response.status


@pytest.mark.skipif(
    "middlewares" not in inspect.signature(aiohttp.ClientSession).parameters,
    reason="middlewares are new in aiohttp 3.12",
)
async def test_a_middleware_does_not_lose_where_a_redirect_came_from(
    pinned: Callable[..., PinningContext], identity: Identity
) -> None:
    """A request of its own, made while a redirect is followed, changes nothing about that."""
    asked: list[int] = []

    async def with_token(
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        if request.url.path != "/token":
            async with session.get(server.url + "/token") as response:
                asked.append(response.status)
        return await handler(request)

    with (
        LabServer(None, name="127.0.0.1") as plain,
        LabServer(identity, redirects={"/": plain.url + "/"}) as server,
    ):
        async with pinned_session(pinned(), middlewares=(with_token,)) as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
                await session.get(server.url + "/")

    assert holdfast.violation_from(caught.value) is not None
    assert [200, 200] == asked
    assert () == plain.connections


async def test_pins_are_those_of_the_url(pinned_server: PinnedServer) -> None:
    """Another name for TLS would bring other pins, and is refused for a pinned host."""
    async with pinned_session(pinned_server.context()) as session:
        with pytest.raises(holdfast.HoldfastError, match="pins of another name"):
            await session.get(pinned_server.impostor.url, server_hostname="127.0.0.1")
        assert () == pinned_server.impostor.connections
        address = f"https://127.0.0.1:{pinned_server.port}"
        async with session.get(address, server_hostname="localhost") as response:
            assert 200 == response.status


async def test_the_connector_has_to_pin(pinned_server: PinnedServer) -> None:
    """Another connector would pin nothing, and a context brings its own sink and anchors."""
    context = pinned_server.context()
    async with aiohttp.TCPConnector() as stock:
        with pytest.raises(holdfast.HoldfastError, match="needs a connector that pins"):
            pinned_session(pinned_server.policy, connector=stock)
    with pytest.raises(TypeError, match="belong to the PinningContext"):
        pinned_session(context, public_anchors=pinned_server.anchors_path)
    connector = PinningConnector(context)
    async with connector:
        with pytest.raises(TypeError, match="belong to the PinningConnector"):
            pinned_session(connector, public_anchors=pinned_server.anchors_path)


async def test_anchors_and_sink_are_passed_on(pinned_server: PinnedServer) -> None:
    """A session makes its context with the anchors that it was given."""
    session = pinned_session(pinned_server.policy, public_anchors=pinned_server.anchors_path)
    async with session, session.get(pinned_server.url) as response:
        assert "hello from the lab\n" == await response.text()
