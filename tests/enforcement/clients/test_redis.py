"""What the recipes do not show; those are run by `tests/clients`."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

import holdfast
from holdfast.enforcement.clients.redis import AsyncPinningConnection, PinningConnection
from holdfast.errors import PinnedContextError
from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer
from tests.clients.servers.redis import redis as speak

Ping = Callable[..., bool]


def _ping(context: object, port: int, **settings: Any) -> bool:  # noqa: ANN401
    pool = redis.ConnectionPool(
        connection_class=PinningConnection,
        pinning_context=context,
        **{"host": "localhost", "port": port, **settings},
    )
    with redis.Redis.from_pool(pool) as client:
        return bool(client.ping())


def _ping_async(context: object, port: int, **settings: Any) -> bool:  # noqa: ANN401
    async def ping() -> bool:
        pool = redis.asyncio.ConnectionPool(
            connection_class=AsyncPinningConnection,
            pinning_context=context,
            **{"host": "localhost", "port": port, **settings},
        )
        async with redis.asyncio.Redis.from_pool(pool) as client:
            return bool(await client.ping())

    return asyncio.run(ping())


@pytest.fixture(params=[_ping, _ping_async], ids=["blocking", "asyncio"])
def ping(request: pytest.FixtureRequest) -> Ping:
    """Each of the two in turn."""
    made: Ping = request.param
    return made


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PinnedServer]:
    """A pinned server that speaks to Redis clients."""
    folder = tmp_path_factory.mktemp("redis")
    with PinnedServer(folder, serve=lambda shown: LabServer(shown, dialogue=speak)) as running:
        yield running


def test_settings_of_its_own_are_refused(ping: Ping, pinned_server: PinnedServer) -> None:
    """`ssl_cert_reqs="none"` would look as if it did something."""
    with pytest.raises(PinnedContextError, match="ssl_ca_certs, ssl_cert_reqs"):
        ping(pinned_server.context(), 1, ssl_cert_reqs="none", ssl_ca_certs="ca.pem")


def test_a_stock_context_is_refused(ping: Ping) -> None:
    """A context that does not pin is none."""
    with pytest.raises(TypeError, match="takes a holdfast"):
        ping(None, 1)


def test_a_violation_is_not_repeated(ping: Ping, server: PinnedServer) -> None:
    """An impostor is visited once and gets nothing; the cause is found."""
    with pytest.raises(redis.ConnectionError) as caught:
        ping(server.context(), server.impostor.port)

    assert holdfast.violation_from(caught.value) is not None
    assert 1 == len(server.impostor.wait_for(closed=1))
    assert 0 == server.impostor.application_bytes


def test_another_name_is_judged_as_that(ping: Ping, server: PinnedServer) -> None:
    """The name that is connected to counts: here one that the policy does not list."""
    assert ping(server.context(), server.port, host="127.0.0.1")


def test_a_version_that_goes_another_way_is_refused(
    ping: Ping, server: PinnedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where redis-py made the connection otherwise, no command is sent."""
    monkeypatch.setattr(PinningConnection, "_wrap_socket_with_ssl", lambda _connection, sock: sock)
    monkeypatch.setattr(AsyncPinningConnection, "_connection_arguments", _without_tls)

    with LabServer(None, dialogue=speak) as plain:
        with pytest.raises(
            (PinnedContextError, redis.ConnectionError), match="did not make the connection"
        ):
            ping(server.context(), plain.port)
        plain.wait_for(closed=1)

    assert 0 == plain.application_bytes


def _without_tls(connection: AsyncPinningConnection) -> dict[str, Any]:
    return {"host": connection.host, "port": connection.port}
