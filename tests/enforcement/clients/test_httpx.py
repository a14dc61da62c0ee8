from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import httpx2
import pytest

import holdfast
from holdfast.enforcement.clients.httpx import PinningTransport
from holdfast.enforcement.clients.httpx2 import PinningTransport as PinningTransport2
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome
from holdfast.testing import PinnedServer
from tests.clients.servers.http2 import http2

LIBRARIES = ["httpx", "httpx2"]


def _with(library: str) -> Callable[[str], str]:
    return lambda code: code.replace("httpx", library)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("recipe", ["Client", "AsyncClient", "PinningTransport"])
def test_recipe(
    recipe: str, library: str, expected: object, run_recipe: Callable[..., object]
) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("httpx", recipe, change=_with(library))


@pytest.mark.parametrize("library", LIBRARIES)
def test_http2(library: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The same holds over HTTP/2, with a server that speaks nothing else."""
    serve = partial(LabServer, alpn=["h2"], dialogue=http2())

    assert expected == run_recipe("httpx", "HTTP/2", serve=serve, change=_with(library))


@pytest.mark.threat("T22")
def test_a_connection_is_not_shared_with_another_host(
    pinned: Callable[..., PinningContext], policy_for: Callable[..., Policy], identity: Identity
) -> None:
    """Neither httpx coalesces hosts that share address and certificate (RFC 9113 section 9.1.1)."""
    context = pinned(policy_for(unlisted=Unlisted.REFUSE))
    for client in (
        httpx.Client(http2=True, verify=context),
        httpx2.Client(http2=True, verify=context),
    ):
        with LabServer(identity, alpn=["h2"], dialogue=http2()) as server, client:
            assert "HTTP/2" == client.get(server.url).http_version
            before = server.application_bytes
            with pytest.raises((httpx.ConnectError, httpx2.ConnectError)) as caught:
                client.get(f"https://127.0.0.1:{server.port}")
            assert "HTTP/2" == client.get(server.url).http_version
            connections = server.connections

        violation = holdfast.violation_from(caught.value)
        assert violation is not None
        assert "127.0.0.1" == violation.verdict.host
        assert [True, False] == [one.application_bytes > 0 for one in connections]
        assert 0 < before < connections[0].application_bytes


@pytest.mark.threat("T22")
@pytest.mark.parametrize(
    ("library", "transport"), [(httpx, PinningTransport), (httpx2, PinningTransport2)]
)
def test_a_connection_is_not_shared_with_a_host_of_other_pins(
    *,
    library: Any,  # noqa: ANN401
    transport: Any,  # noqa: ANN401
    pinned: Callable[..., PinningContext],
    policy_for: Callable[..., Policy],
    identity: Identity,
    impostor: Identity,
) -> None:
    """The certificate is for both hosts, the key for the first only: the second is refused."""
    first, second = policy_for(), policy_for(leaf=impostor.spki_pin, hosts=("127.0.0.1",))
    sets = (*first.pin_sets, replace(second.pin_sets[0], name="other"))
    context = pinned(Policy(unlisted=Unlisted.REFUSE, pin_sets=sets))
    with (
        LabServer(identity, alpn=["h2"], dialogue=http2()) as server,
        library.Client(transport=transport(context, http2=True)) as client,
    ):
        assert "HTTP/2" == client.get(server.url).http_version
        with pytest.raises(library.ConnectError) as caught:
            client.get(f"https://127.0.0.1:{server.port}")
        assert "HTTP/2" == client.get(server.url).http_version

    violation = holdfast.violation_from(caught.value)
    assert violation is not None
    assert Outcome.MISMATCH is violation.verdict.outcome
    assert [True, False] == [one.application_bytes > 0 for one in server.connections]


def test_a_transport_that_retries(pinned_server: PinnedServer) -> None:
    """As the page says, a retrying transport connects again, and is refused each time."""
    transport = httpx.HTTPTransport(verify=pinned_server.context(), retries=1)

    with httpx.Client(transport=transport) as client, pytest.raises(httpx.ConnectError) as caught:
        client.get(pinned_server.impostor.url)

    assert holdfast.violation_from(caught.value) is not None
    assert 2 == len(pinned_server.impostor.wait_for(closed=2))
    assert 0 == pinned_server.impostor.application_bytes
