import asyncio
from typing import Any

import pytest

from holdfast.enforcement.pinned_client import PinnedClient
from holdfast.enforcement.servers.asgi import telling
from holdfast.pins.pin import Pin

PAYMENTS = "spiffe://example.org/payments"
PIN = Pin.of_spki(b"a key")


class Connection:
    """A connection that says who was accepted."""

    def __init__(self, client: PinnedClient | None) -> None:
        self.pinned_client = client


def scopes_of(
    connection: Connection, scope: dict[str, Any], *later: PinnedClient | None
) -> list[dict[str, Any]]:
    """Return the scopes that an application gets of one request, and of one as each later one."""
    seen: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        seen.append(scope)

    told = telling(application, connection)
    asyncio.run(told(scope, None, None))  # type: ignore[arg-type]
    for connection.pinned_client in later:
        asyncio.run(told(scope, None, None))  # type: ignore[arg-type]
    return seen


def scope_of(client: PinnedClient | None, scope: dict[str, Any]) -> dict[str, Any]:
    """Return the scope that an application gets."""
    return scopes_of(Connection(client), scope)[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(("pin", "text"), [(PIN, str(PIN)), (None, None)])
def test_each_request_says_who_it_is(kind: str, pin: Pin | None, text: str | None) -> None:
    """The extension stands beside those of the server, whose own scope is left alone."""
    given = {"type": kind, "extensions": {"tls": {}}}
    expected = {"identity": PAYMENTS, "pin_set": "payments", "pin": text}

    scope = scope_of(PinnedClient(PAYMENTS, "payments", pin), given)

    assert {"tls": {}, "holdfast": expected} == scope["extensions"]
    assert {"type": kind, "extensions": {"tls": {}}} == given


@pytest.mark.parametrize("scope", [{"type": "http"}, {"type": "http", "extensions": None}])
def test_a_server_without_extensions(scope: dict[str, Any]) -> None:
    """A scope need not have any extensions before."""
    assert {"holdfast"} == set(
        scope_of(PinnedClient(PAYMENTS, "payments", PIN), scope)["extensions"]
    )


def test_a_policy_that_changes_is_told_on_open_connections() -> None:
    """Who is in another set from now on is not taken for one of the old set; nor who is out."""
    before, after = (PinnedClient(PAYMENTS, name, PIN) for name in ("payments", "mesh"))

    scopes = scopes_of(Connection(before), {"type": "http"}, after, None)

    assert ["payments", "mesh"] == [one["extensions"]["holdfast"]["pin_set"] for one in scopes[:2]]
    assert {"type": "http"} == scopes[2]


def test_other_scopes_stay_as_they_are() -> None:
    """Start-up belongs to no client, and neither does a connection that is not pinned."""
    lifespan, http = {"type": "lifespan"}, {"type": "http"}

    assert lifespan is scope_of(PinnedClient(PAYMENTS, "payments", PIN), lifespan)
    assert http is scope_of(None, http)
